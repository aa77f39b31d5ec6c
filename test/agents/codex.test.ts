import { turnsOf } from './turns.ts';

turnsOf('codex');
