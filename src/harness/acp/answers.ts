/**
 * What an agent answers and reports, as far as it is used here. The library hands answers over as they came, and refuses
 * a whole report for one bad field: so what is needed is checked here, and the rest may be anything.
 */
import * as z from 'zod';
import { readBy } from '../../domain/read-by.ts';

/** Characters of a name that an agent gives to something. */
const longestName = 1024;
const name = z.string().max(longestName);
/** What is null, or not as it should be, is as if it were not there. */
const lenient = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined);

export const initialized = z.object({
  protocolVersion: z.number(),
  agentCapabilities: lenient(
    z.object({
      loadSession: lenient(z.boolean()),
      sessionCapabilities: lenient(z.object({ resume: lenient(z.record(z.string(), z.unknown())) })),
      promptCapabilities: lenient(z.object({ embeddedContext: lenient(z.boolean()) })),
    }),
  ),
  authMethods: lenient(z.array(z.object({ id: name, name, vars: lenient(z.array(z.object({ name }))) }))),
});

const modes = lenient(z.object({ currentModeId: name, availableModes: z.array(z.object({ id: name })) }));

export const newSession = z.object({ sessionId: name.min(1), modes });
/** Some answer nothing at all. */
export const openedSession = z.object({ modes }).nullish();

const tokens = lenient(z.number().nonnegative());

export const turnEnd = z.object({
  stopReason: name,
  usage: lenient(z.object({ inputTokens: tokens, outputTokens: tokens })),
});

const content = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('resource_link'), uri: z.string(), name: z.string() }),
  z.object({ type: z.literal('resource'), resource: z.object({ text: z.string() }) }),
]);

const toolContent = z.discriminatedUnion('type', [z.object({ type: z.literal('diff'), path: z.string(), oldText: lenient(z.string()), newText: z.string() })]);

const readable = <T extends z.ZodType>(item: T) =>
  z.array(z.unknown()).transform((items) =>
    items.flatMap((each) => {
      const read = readBy(item, each);
      return read?.success === true ? [read.data] : [];
    }),
  );

const toolCall = z.object({
  toolCallId: name,
  title: lenient(z.string()),
  name: lenient(z.string()),
  kind: lenient(z.string()),
  status: lenient(z.string()),
  content: lenient(readable(toolContent)),
  locations: lenient(readable(z.object({ path: z.string() }))),
  rawInput: z.unknown().optional(),
});

const chunk = { content, messageId: lenient(z.string()) };

/** Kinds of reports that are not here are of no use to a flight. */
export const update = z.discriminatedUnion('sessionUpdate', [
  z.object({ sessionUpdate: z.literal('agent_message_chunk'), ...chunk }),
  z.object({ sessionUpdate: z.literal('agent_thought_chunk'), ...chunk }),
  toolCall.extend({ sessionUpdate: z.literal('tool_call') }),
  toolCall.extend({ sessionUpdate: z.literal('tool_call_update') }),
  z.object({ sessionUpdate: z.literal('plan'), entries: readable(z.object({ content: z.string(), status: lenient(z.string()) })) }),
  z.object({
    sessionUpdate: z.literal('usage_update'),
    used: tokens,
    size: tokens,
    cost: lenient(z.object({ amount: z.number().nonnegative(), currency: z.string().max(16) })),
  }),
]);

export const modeUpdate = z.object({ sessionUpdate: z.literal('current_mode_update'), currentModeId: name });

export const notification = z.object({ sessionId: z.string(), update: z.unknown() });

export const permissionRequest = z.object({
  sessionId: z.string(),
  toolCall,
  options: readable(z.object({ optionId: z.string(), name: z.string(), kind: z.string() })),
});

export type Initialized = z.infer<typeof initialized>;
export type Modes = z.infer<typeof modes>;
export type TurnEnd = z.infer<typeof turnEnd>;
export type Update = z.infer<typeof update>;
export type ToolCall = z.infer<typeof toolCall>;
export type PermissionOption = z.infer<typeof permissionRequest>['options'][number];
