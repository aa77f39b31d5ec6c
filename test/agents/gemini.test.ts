import { turnsOf } from './turns.ts';

turnsOf('gemini');
