/** Which node could not be asked, and why, without its name twice. */
export function gapWords({ nodeName, why }: { readonly nodeName: string; readonly why: string }): string {
  return why.startsWith(`${nodeName} `) ? why : `${nodeName}: ${why}`;
}
