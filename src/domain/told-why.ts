/** Why an agent can't run, as the whole mesh may know it: a registration never names a directory or a command of its node. */

const elsewhere = 'it can’t run there now; on its own node, beckon agent show says why';

/** Beckon's own words quote what is foreign, those of other programs may name a place without. */
const foreign = [/"(?:[^"\\]|\\.)*"/g, /'[~/][^']*'/g] as const;
/** An absolute path, one below a home, a URL. */
const place = /(?:^|[\s(=:,;`'"])~?\/\S|\/[^\s/]*\//;

export function toldWhy(why: string): string {
  const told = foreign.reduce((text, each) => text.replace(each, '…'), why);
  return place.test(told) ? elsewhere : told;
}
