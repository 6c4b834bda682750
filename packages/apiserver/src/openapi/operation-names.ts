/** The words that operation identifiers and tags are made of. */

export function upper(text: string): string {
  return text.replace(/^./, (letter) => letter.toUpperCase());
}

export function lower(text: string): string {
  return text.replace(/^./, (letter) => letter.toLowerCase());
}

/** `RbacAuthorization` for `rbac.authorization.k8s.io`. */
export function groupWord(group: string): string {
  if (group === '') return 'Core';
  const parts = group.replace(/\.k8s\.io$/, '').split(/[.-]/);
  return parts.map(upper).join('');
}
