/**
 * Run before each test file. The store's threads strip types with a WebAssembly module; where none but they use it, V8
 * frees and makes its code with each thread that ends and starts, and once in some hundred times trips over that
 * (nodejs/node #64500). A node that runs from its sources holds the module for its whole life, and so do the tests.
 */
import { stripTypeScriptTypes } from 'node:module';

stripTypeScriptTypes('let held: string;');
