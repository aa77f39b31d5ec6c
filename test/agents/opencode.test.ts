import { turnsOf } from './turns.ts';

turnsOf('opencode');
