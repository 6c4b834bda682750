import { posix } from 'node:path';

/** Where a proxied page stands. */
export interface ProxiedPage {
  /** The server's path to the root of the target, without a slash at its end. */
  readonly prefix: string;
  /** `HOST:PORT` of the target, and the name by which the client called this server. */
  readonly targetHost: string;
  readonly requestHost: string;
}

/** Attributes that hold one link, by element. @see https://html.spec.whatwg.org/multipage/indices.html#attributes-3 */
const LINK_ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  a: ['href'],
  applet: ['codebase'],
  area: ['href'],
  audio: ['src'],
  base: ['href'],
  blockquote: ['cite'],
  body: ['background'],
  button: ['formaction'],
  command: ['icon'],
  del: ['cite'],
  embed: ['src'],
  form: ['action'],
  frame: ['longdesc', 'src'],
  head: ['profile'],
  html: ['manifest'],
  iframe: ['longdesc', 'src'],
  img: ['longdesc', 'src', 'usemap'],
  input: ['formaction', 'src', 'usemap'],
  ins: ['cite'],
  link: ['href'],
  object: ['classid', 'codebase', 'data', 'usemap'],
  q: ['cite'],
  script: ['src'],
  source: ['src'],
  video: ['poster', 'src'],
};

/** Elements whose content is no markup, up to their end tag. */
const RAW_TEXT: ReadonlySet<string> = new Set(['iframe', 'noembed', 'noframes', 'script', 'style', 'textarea', 'title', 'xmp']);
/** A longer tag is passed on as it is. */
const TAG_CHARACTERS_MAX = 64 * 1024;
const ATTRIBUTE = /([^\s"'>/=]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s>]+)/g;

/** A link from the target's root as it must read behind the proxy; every other stays as it is. */
export function proxiedLink(link: string, { prefix, targetHost, requestHost }: ProxiedPage): string {
  const [, origin = '', host, path = '', rest = ''] = /^((?:[a-z][a-z0-9+.-]*:)?(?:\/\/([^/?#]*))?)([^?#]*)(.*)$/is.exec(link) ?? [];
  if (!path.startsWith('/') || (origin !== '' && host !== targetHost && host !== requestHost)) return link;
  const kept = host === requestHost ? origin : '';
  // It comes from someone who knows where they stand.
  if (path.startsWith(prefix)) return `${kept}${path}${rest}`;
  const joined = posix.join(prefix, path);
  return `${kept}${joined}${path.endsWith('/') && !joined.endsWith('/') ? '/' : ''}${rest}`;
}

/** A page with its links as {@link proxiedLink} makes them, in the bytes of whatever encoding extends ASCII. */
export async function* proxiedPage(chunks: AsyncIterable<Uint8Array>, page: ProxiedPage): AsyncGenerator<Uint8Array, void, undefined> {
  const rewriter = new LinkRewriter(page);
  for await (const chunk of chunks) {
    const text = rewriter.write(Buffer.from(chunk).toString('latin1'));
    if (text !== '') yield Buffer.from(text, 'latin1');
  }
  if (rewriter.held !== '') yield Buffer.from(rewriter.held, 'latin1');
}

/** Takes a page in pieces that may end anywhere. */
class LinkRewriter {
  readonly #page: ProxiedPage;
  /** What the next piece decides about. */
  held = '';
  /** What ends the text that holds no tags: a comment's, or that of a raw element. */
  #until: string | undefined;

  constructor(page: ProxiedPage) {
    this.#page = page;
  }

  /** @returns What may be sent on now. */
  write(piece: string): string {
    const text = this.held + piece;
    let out = '';
    let at = 0;
    for (;;) {
      const end = this.#until === undefined ? text.indexOf('<', at) : indexOfIgnoringCase(text, this.#until, at);
      if (end < 0) {
        // The beginning of what is looked for may stand at the end.
        const cut = this.#until === undefined ? text.length : Math.max(at, text.length - this.#until.length + 1);
        this.held = text.slice(cut);
        return out + text.slice(at, cut);
      }
      out += text.slice(at, end);
      at = end;
      this.#until = undefined;
      const length = this.#markupLength(text, at);
      if (length === undefined) {
        this.held = text.slice(at);
        return out;
      }
      out += this.#rewritten(text.slice(at, at + length));
      at += length;
    }
  }

  /** Of what begins with the '<' at `at`. `undefined`: more must come first. */
  #markupLength(text: string, at: number): number | undefined {
    const left = text.length - at;
    if (left < 4 && '<!--'.startsWith(text.slice(at))) return undefined;
    if (text.startsWith('<!--', at)) return 4;
    if (!/^<[a-z]/i.test(text.slice(at, at + 2))) return 1;
    const end = endOfTag(text, at);
    if (end !== undefined) return end - at;
    return left > TAG_CHARACTERS_MAX ? 1 : undefined;
  }

  #rewritten(markup: string): string {
    if (markup === '<!--') this.#until = '-->';
    const name = /^<([a-z][^\s/>]*)/i.exec(markup)?.[1];
    if (name === undefined) return markup;
    const element = name.toLowerCase();
    if (RAW_TEXT.has(element)) this.#until = `</${element}`;
    const links = LINK_ATTRIBUTES[element];
    if (links === undefined) return markup;
    const start = 1 + name.length;
    return (
      markup.slice(0, start) +
      markup.slice(start).replace(ATTRIBUTE, (whole, attribute: string, equals: string, value: string) => {
        if (!links.includes(attribute.toLowerCase())) return whole;
        const quote = value.startsWith('"') || value.startsWith("'") ? value.slice(0, 1) : '';
        return `${attribute}${equals}${quote}${proxiedLink(value.slice(quote.length, value.length - quote.length), this.#page)}${quote}`;
      })
    );
  }
}

/** Behind the '>' that ends the tag at `at`: one between the quotes of a value does not. `undefined`: it is not there yet. */
function endOfTag(text: string, at: number): number | undefined {
  let quote = '';
  let isValue = false;
  for (let index = at; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (quote !== '') {
      if (character === quote) quote = '';
    } else if (character === '>') {
      return index + 1;
    } else if (isValue && (character === '"' || character === "'")) {
      quote = character;
      isValue = false;
    } else if (character === '=') {
      isValue = true;
    } else if (!/\s/.test(character)) {
      isValue = false;
    }
  }
  return undefined;
}

function indexOfIgnoringCase(text: string, wanted: string, from: number): number {
  return text.toLowerCase().indexOf(wanted, from);
}
