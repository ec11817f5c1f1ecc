// Where a text stops being JSON, and why, in plain words: line and column count from 1, as editors do.

const QUOTES = /[\u201c\u201d\u2018\u2019]/;

/** Return null for JSON, else `{line, column, message}` of the first thing that is wrong. */
export function problemOf(text) {
  if (!text.trim()) return null;
  let position = 0;
  const fail = (message, at = position) => { throw new Problem(message, at); };
  const space = () => { while (" \n\r\t".includes(text[position] ?? "x")) position += 1; };
  const found = () => (position >= text.length ? "the text ends" : `${JSON.stringify(String.fromCodePoint(text.codePointAt(position)))} stands`);

  function string() {
    const from = position;
    if (text[position] !== '"') fail(QUOTES.test(text[position] ?? "") ? "use straight quotes (\")" : `a text in quotes is expected, ${found()} here`);
    for (position += 1; text[position] !== '"'; position += 1) {
      if (position >= text.length || text[position] === "\n") fail("this text has no closing quote", from);
      if (text[position] < " ") fail("a control character stands in a text; write it as an escape");
      if (text[position] !== "\\") continue;
      if (!/^\\(?:["\\/bfnrt]|u[0-9a-f]{4})/i.test(text.slice(position, position + 6))) fail("this is no escape that JSON knows");
      position += 1;
    }
    position += 1;
    return text.slice(from, position);
  }

  function members(close, one) {
    position += 1;
    space();
    if (text[position] === close) { position += 1; return; }
    for (;;) {
      one();
      space();
      if (text[position] === close) { position += 1; return; }
      if (text[position] !== ",") fail(`a comma or ${close} is expected, ${found()} here`);
      const comma = position;
      position += 1;
      space();
      if (text[position] === close) fail(`nothing follows this comma; take it out`, comma);
    }
  }

  function object() {
    const names = new Set();
    members("}", () => {
      const from = position;
      const name = string();
      if (names.has(name)) fail(`${name} stands twice in one object`, from);
      names.add(name);
      space();
      if (text[position] !== ":") fail(`a colon is expected after ${name}, ${found()} here`);
      position += 1;
      value();
    });
  }

  function value() {
    space();
    const plain = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/.exec(text.slice(position, position + 400));
    if (text[position] === "{") object();
    else if (text[position] === "[") members("]", value);
    else if (text[position] === '"') string();
    else if (plain) position += plain[0].length;
    else if (QUOTES.test(text[position] ?? "")) fail("use straight quotes (\")");
    else fail(`a value is expected, ${found()} here`);
  }

  try {
    value();
    space();
    if (position < text.length) fail(`nothing more is expected, ${found()} here`);
  } catch (problem) {
    if (problem instanceof RangeError) return { line: 1, column: 1, message: "This nests too deep to be read." };
    if (!(problem instanceof Problem)) throw problem;
    const before = text.slice(0, problem.at).split("\n");
    const [line, column] = [before.length, before.at(-1).length + 1];
    return { line, column, message: `Line ${line}, column ${column}: ${problem.message}.` };
  }
  return null;
}

class Problem extends Error {
  constructor(message, at) {
    super(message);
    this.at = at;
  }
}
