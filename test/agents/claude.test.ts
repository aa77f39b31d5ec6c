import { turnsOf } from './turns.ts';

turnsOf('claude');
