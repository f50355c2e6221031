// Small changes to the page. Everything from outside becomes text, never markup.
export const element = (id) => document.getElementById(id);

export function setText(id, text) {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
}

/** One element; `content` is text. */
export function made(tag, content, kind) {
  const result = document.createElement(tag);
  result.textContent = content;
  if (kind) result.className = kind;
  return result;
}

/** Replace what is in an element, if `content` has changed since. */
export function replace(target, content, make) {
  const key = JSON.stringify(content);
  if (target.dataset.key === key) return;
  target.dataset.key = key;
  target.replaceChildren(...content.map(make));
}

/** Tiles: [name, value, note]. */
export function fillTiles(list, tiles) {
  if (list.children.length !== tiles.length) {
    list.replaceChildren(...tiles.map(() => {
      const box = document.createElement("div");
      box.append(made("dt", ""), made("dd", "", "value"), made("dd", "", "note"));
      return box;
    }));
  }
  tiles.forEach((texts, index) => texts.forEach((text, part) => {
    const target = list.children[index].children[part];
    if (target.textContent !== text) target.textContent = text;
  }));
}

/** Replace a table's rows. heads: [text, class]. cells: [text, class] or text; the first one heads its row. */
export function fillTable(name, heads, rows) {
  const head = element(`${name}-head`);
  if (!head.children.length) {
    head.append(...heads.map(([text, kind]) => {
      const cell = made("th", text, kind);
      cell.scope = "col";
      return cell;
    }));
  }
  replace(element(`${name}-rows`), rows, ({ kind, cells }) => {
    const row = document.createElement("tr");
    if (kind) row.className = kind;
    row.append(...cells.map((cell, index) => {
      const [text, own] = Array.isArray(cell) ? cell : [cell, ""];
      const result = made(index ? "td" : "th", text, `${heads[index][1] ?? ""} ${own}`.trim());
      if (!index) result.scope = "row";
      return result;
    }));
    return row;
  });
}
