// Texts with gaps: the files of unweave/audio/templates, filled in as unweave/audio/templates does.

const PIECE = /\{#(\w+)\}\n?([^]*?)\{\/\1\}\n?|\{(\w+)\}/g;

// The template `name` with `values`: texts, by way of `escape`, and lists of values for what is repeated.
export async function filled(name, values, escape = (text) => text) {
  const response = await fetch(new URL(`templates/${name}`, import.meta.url));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return fill(await response.text(), values, escape);
}

function fill(template, values, escape) {
  return template.replace(PIECE, (_, part, inside, gap) => {
    if (gap) return escape(values[gap]);
    return values[part].map((item) => fill(inside, { ...values, ...item }, escape)).join("");
  });
}

// A number in nine digits, and no more than it needs.
export const decimal = (number) => String(Number(number.toPrecision(9)));
