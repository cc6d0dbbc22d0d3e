import { lexer, type Token, type Tokens } from 'marked';
import { Fragment, memo, type ReactNode, useMemo } from 'react';
import { type Chunk, chunks } from '@/features/transcript/chunks';
import { harmless, webAddress } from '@/lib/safe';

/** What is longer is not laid out: its whole can be seen elsewhere. */
export const MOST = 40_000;

/**
 * An agent's Markdown. It is hostile: HTML is shown as text, images are named and not fetched, links lead to web
 * addresses only and say so, and what would take long to read is shown as it is.
 */
export const Markdown = memo(function Markdown({ text }: { text: string }) {
  const pieces = useMemo(() => chunks(harmless(text.slice(-MOST))), [text]);
  return (
    <div className="flex flex-col gap-2.5 leading-relaxed break-words">
      {pieces.map((piece, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a text grows at its end.
        <Piece key={index} text={piece.text} plain={piece.plain} />
      ))}
    </div>
  );
});

/** Drawn again only when it has changed: of a text that grows, the last. */
const Piece = memo(function Piece({ text, plain }: Chunk) {
  const tokens = useMemo(() => (plain ? undefined : read(text)), [text, plain]);
  return tokens ? blocks(tokens) : <p className="whitespace-pre-wrap">{text}</p>;
});

function read(text: string): Token[] | undefined {
  try {
    return lexer(text);
  } catch {
    // Too deep, or worse: it is shown as it is.
    return undefined;
  }
}

function blocks(tokens: readonly Token[]): ReactNode {
  return tokens.map((token, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: tokens have no other name.
    <Fragment key={index}>{block(token)}</Fragment>
  ));
}

function block(token: Token): ReactNode {
  switch (token.type) {
    case 'space':
    case 'def':
      return null;
    case 'heading': {
      const { depth, tokens } = token as Tokens.Heading;
      return (
        <p className={depth <= 2 ? 'text-base font-semibold' : 'font-semibold'}>{inline(tokens)}</p>
      );
    }
    case 'paragraph':
      return <p className="whitespace-pre-line">{inline((token as Tokens.Paragraph).tokens)}</p>;
    case 'code':
      return (
        <pre
          tabIndex={0}
          className="overflow-x-auto rounded-md bg-sunken px-3 py-2 font-mono text-xs"
        >
          {(token as Tokens.Code).text}
        </pre>
      );
    case 'blockquote':
      return (
        <blockquote className="border-l-2 border-line pl-3 text-soft">
          {blocks((token as Tokens.Blockquote).tokens)}
        </blockquote>
      );
    case 'hr':
      return <hr className="border-line" />;
    case 'list': {
      const { ordered, start, items } = token as Tokens.List;
      const children = items.map((item, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: nor have items.
        <li key={index}>
          {item.task && (
            <input
              type="checkbox"
              checked={item.checked ?? false}
              readOnly
              disabled
              className="mr-1.5"
              aria-label={item.checked ? 'done' : 'to do'}
            />
          )}
          {blocks(item.tokens)}
        </li>
      ));
      return ordered ? (
        <ol start={Number(start) || 1} className="flex list-decimal flex-col gap-1 pl-6">
          {children}
        </ol>
      ) : (
        <ul className="flex list-disc flex-col gap-1 pl-6">{children}</ul>
      );
    }
    case 'table': {
      const { header, rows } = token as Tokens.Table;
      return (
        <div className="overflow-x-auto">
          <table className="border-collapse text-sm">
            <thead>
              <tr>
                {header.map((cell, index) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: nor have cells.
                  <th key={index} className="border border-line px-2 py-1 text-left font-semibold">
                    {inline(cell.tokens)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: nor have rows.
                <tr key={at}>
                  {row.map((cell, index) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: as above.
                    <td key={index} className="border border-line px-2 py-1">
                      {inline(cell.tokens)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      );
    }
    case 'text': {
      const { tokens, text } = token as Tokens.Text;
      return tokens ? inline(tokens) : text;
    }
    default:
      // HTML, and whatever else there is: as text.
      return <p className="whitespace-pre-wrap">{token.raw}</p>;
  }
}

function inline(tokens: readonly Token[] | undefined): ReactNode {
  return tokens?.map((token, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: tokens have no other name.
    <Fragment key={index}>{span(token)}</Fragment>
  ));
}

function span(token: Token): ReactNode {
  switch (token.type) {
    case 'text':
      return decoded(
        'tokens' in token && token.tokens ? inline(token.tokens) : (token as Tokens.Text).text,
      );
    case 'escape':
      return (token as Tokens.Escape).text;
    case 'strong':
      return <strong className="font-semibold">{inline((token as Tokens.Strong).tokens)}</strong>;
    case 'em':
      return <em>{inline((token as Tokens.Em).tokens)}</em>;
    case 'del':
      return <del>{inline((token as Tokens.Del).tokens)}</del>;
    case 'codespan':
      return (
        <code className="rounded bg-sunken px-1 py-0.5 font-mono text-[0.92em]">
          {decoded((token as Tokens.Codespan).text)}
        </code>
      );
    case 'br':
      return <br />;
    case 'link': {
      const { href, tokens } = token as Tokens.Link;
      const address = webAddress(href);
      if (!address) return inline(tokens);
      return (
        <a
          href={address}
          title={address}
          target="_blank"
          rel="noopener noreferrer"
          className="text-info underline underline-offset-2"
        >
          {inline(tokens)}
        </a>
      );
    }
    case 'image': {
      const { text, href } = token as Tokens.Image;
      return <span className="text-soft">[image: {text || href.slice(0, 100)}]</span>;
    }
    default:
      return token.raw;
  }
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

/** The lexer escapes for HTML; React does so itself. */
function decoded(node: ReactNode): ReactNode {
  return typeof node === 'string'
    ? node.replace(/&(amp|lt|gt|quot|#39);/g, (whole, name: string) => ENTITIES[name] ?? whole)
    : node;
}
