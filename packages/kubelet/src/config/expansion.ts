/**
 * Replaces `$(NAME)` from `lookup`; `$$(NAME)` stays as the text `$(NAME)`, and what is not known stays as it is.
 * @see https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
 */
export function expandReferences(text: string, lookup: (name: string) => string | undefined): string {
  let out = '';
  let index = 0;
  while (index < text.length) {
    const dollar = text.indexOf('$', index);
    if (dollar === -1 || dollar === text.length - 1) return out + text.slice(index);
    out += text.slice(index, dollar);
    const next = text[dollar + 1];
    if (next === '$') {
      out += '$';
      index = dollar + 2;
      continue;
    }
    const end = next === '(' ? text.indexOf(')', dollar + 2) : -1;
    if (end === -1) {
      // No reference: the dollar and what follows are plain text. An unclosed bracket keeps both characters.
      out += next === '(' ? '$(' : `$${next}`;
      index = dollar + 2;
      continue;
    }
    const name = text.slice(dollar + 2, end);
    out += lookup(name) ?? `$(${name})`;
    index = end + 1;
  }
  return out;
}
