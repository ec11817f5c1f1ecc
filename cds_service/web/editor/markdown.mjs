// Markdown of a card as HTML: lists, emphasis and code; no HTML of the text's own, no image, links only to the web.
import MarkdownIt from "markdown-it";

const reader = new MarkdownIt("commonmark", { html: false }).enable("table").disable("image");
reader.validateLink = (url) => /^https?:\/\//i.test(url.trim());
reader.renderer.rules.link_open = (tokens, index, options, _env, self) => {
  tokens[index].attrSet("rel", "noopener noreferrer");
  tokens[index].attrSet("target", "_blank");
  return self.renderToken(tokens, index, options);
};
for (const name of ["paragraph_open", "list_item_open"]) {
  reader.renderer.rules[name] = (tokens, index, options, _env, self) => {
    tokens[index].attrSet("dir", "auto");
    return tokens[index].hidden ? "" : self.renderToken(tokens, index, options);
  };
}

/** Return the HTML of a Markdown text. */
export const toHtml = (text) => reader.render(text);
