// The playground's editor: JSON with its errors in place, and the resources in it found by their references.
import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import {
  HighlightStyle, bracketMatching, codeFolding, ensureSyntaxTree, foldGutter, foldKeymap, indentOnInput, indentUnit,
  syntaxHighlighting,
} from "@codemirror/language";
import { lintGutter, lintKeymap, linter } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorSelection, EditorState, Prec, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration, EditorView, drawSelection, dropCursor, highlightActiveLine, highlightActiveLineGutter,
  highlightSpecialChars, keymap, lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { problemOf } from "./problem.mjs";

const PARSED_WITHIN = 2000; // milliseconds that finding a resource may take in a very long text

const colours = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--link)" },
  { tag: tags.string, color: "var(--text)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--open)" },
  { tag: tags.invalid, color: "var(--notmet)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", color: "var(--text)", backgroundColor: "var(--raised)", fontSize: "0.84rem" },
  "&.cm-focused": { outline: "3px solid var(--link)", outlineOffset: "-1px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5", overflow: "auto" },
  ".cm-content": { caretColor: "var(--text)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--quiet)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--link) 7%, transparent)" },
  ".cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--link) 14%, transparent)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--link) 28%, transparent) !important",
  },
  ".cm-selectionMatch": { backgroundColor: "color-mix(in srgb, var(--link) 20%, transparent)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--sunken)", color: "var(--quiet)", borderColor: "var(--line)" },
  ".cm-evidence": { backgroundColor: "var(--openfield)", boxShadow: "inset 3px 0 var(--open)" },
  ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--text)", borderColor: "var(--line)" },
  ".cm-textfield": { backgroundColor: "var(--raised)", color: "var(--text)", borderColor: "var(--quiet)" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--raised)", borderColor: "var(--line)" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--text)", borderColor: "var(--line)" },
  ".cm-diagnostic": { fontFamily: "system-ui, sans-serif", borderLeftColor: "var(--notmet)" },
});

const mark = StateEffect.define();
const marked = StateField.define({
  create: () => Decoration.none,
  update(lines, transaction) {
    lines = lines.map(transaction.changes);
    for (const effect of transaction.effects) if (effect.is(mark)) lines = effect.value;
    return lines;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/**
 * Put an editor into an element. `options`: `label` names it to screen readers; `onChange(text)`, `onFire()` and
 * `onProblem(problem | null)` are called when the text changes, on Ctrl+Enter, and when it is or is no longer JSON.
 */
export function editor(holder, { label, onChange, onFire, onProblem }) {
  // In a shadow tree its styles are style sheet objects, which a Content-Security-Policy without exceptions permits.
  const root = holder.attachShadow({ mode: "open" });
  const check = (view) => {
    const problem = problemOf(view.state.doc.toString());
    onProblem(problem);
    if (!problem) return [];
    const line = view.state.doc.line(Math.min(problem.line, view.state.doc.lines));
    const from = Math.min(line.from + problem.column - 1, line.to);
    return [{ from, to: Math.min(from + 1, line.to), severity: "error", message: problem.message }];
  };
  const view = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: "",
      extensions: [
        lineNumbers(), foldGutter(), codeFolding(), lintGutter(), history(), drawSelection(), dropCursor(),
        highlightSpecialChars(), highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(),
        indentOnInput(), bracketMatching(), closeBrackets(), search({ top: true }), json(),
        linter(check, { delay: 250 }), marked, indentUnit.of("  "), EditorView.perLineTextDirection.of(true),
        syntaxHighlighting(colours), look,
        EditorView.contentAttributes.of({ "aria-label": label, "aria-multiline": "true", tabindex: "0" }),
        EditorView.updateListener.of((update) => { if (update.docChanged) onChange(update.state.doc.toString()); }),
        Prec.highest(keymap.of([{ key: "Mod-Enter", run: () => { onFire(); return true; } }])),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap]),
      ],
    }),
  });
  const api = {
    text: () => view.state.doc.toString(),
    /** Replace the whole text; what was there can be had back by undoing. */
    setText(text) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, effects: mark.of(Decoration.none), selection: { anchor: 0 }, scrollIntoView: true });
    },
    focus: () => view.focus(),
    /** Mark the resource of a reference and scroll to it; return whether it is in the text. */
    show(reference) {
      const range = rangeOf(view.state, reference);
      if (!range) return false;
      const lines = [];
      for (let at = range.from; at <= range.to;) {
        const line = view.state.doc.lineAt(at);
        lines.push(Decoration.line({ class: "cm-evidence" }).range(line.from));
        at = line.to + 1;
      }
      view.dispatch({ effects: [mark.of(Decoration.set(lines)), EditorView.scrollIntoView(range.from, { y: "start", yMargin: 40 })] });
      return true;
    },
    unmark: () => view.dispatch({ effects: mark.of(Decoration.none) }),
    /** Put the cursor where a problem is. */
    goTo({ line, column }) {
      const found = view.state.doc.line(Math.min(line, view.state.doc.lines));
      const at = Math.min(found.from + column - 1, found.to);
      view.dispatch({ selection: EditorSelection.cursor(at), effects: EditorView.scrollIntoView(at, { y: "center" }) });
      view.focus();
    },
    /** Replace the resource of a reference by another; return whether it was found. */
    replace(reference, resource) {
      const range = rangeOf(view.state, reference);
      if (!range) return false;
      const indent = /^\s*/.exec(view.state.doc.lineAt(range.from).text)[0];
      const insert = JSON.stringify(resource, null, 2).replaceAll("\n", `\n${indent}`);
      view.dispatch({ changes: { ...range, insert } });
      return true;
    },
  };
  return api;
}

/** Return where the first object stands that is the resource of `Type/id`. */
function rangeOf(state, reference) {
  const [type, id] = reference.split("/");
  const tree = ensureSyntaxTree(state, state.doc.length, PARSED_WITHIN);
  let found = null;
  tree?.iterate({
    enter(node) {
      if (found) return false;
      if (node.name !== "Object") return true;
      const members = membersOf(state, node.node);
      if (members.resourceType === type && members.id === id) found = { from: node.from, to: node.to };
      return !found;
    },
  });
  return found;
}

/** Return the texts among an object's own members. */
function membersOf(state, object) {
  const members = {};
  for (const property of object.getChildren("Property")) {
    const value = property.lastChild;
    if (value?.name !== "String") continue;
    const [name, text] = [property.firstChild, value].map((n) => JSON.parse(state.sliceDoc(n.from, n.to)));
    members[name] = text;
  }
  return members;
}
