/**
 * The script of the page: heads of tables become buttons that sort, and a link to something folded unfolds it. Plain JavaScript for any
 * browser of the last years. Consumed by the page, which puts it in as it stands.
 */
export const pageScript = `
"use strict";
for (const table of document.querySelectorAll(".sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const rows = [...body.rows];
      const key = (row) => {
        const { dataset, textContent } = row.cells[column];
        return "value" in dataset ? Number(dataset.value) : textContent.trim();
      };
      const numbers = typeof key(rows[0]) === "number";
      // Numbers are looked at for the largest, names for the first.
      const down = head.ariaSort ? head.ariaSort === "ascending" : numbers && column > 0;
      const compare = (a, b) => (numbers ? a - b : a.localeCompare(b));
      rows.sort((a, b) => (down ? -1 : 1) * compare(key(a), key(b)));
      for (const other of heads) other.ariaSort = null;
      head.ariaSort = down ? "descending" : "ascending";
      body.append(...rows);
    });
  });
}

const unfold = () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target === null) return;
  for (let around = target.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
  const inside = target.querySelector(":scope > th > details");
  if (inside) inside.open = true;
  target.scrollIntoView({ block: "center" });
};
addEventListener("hashchange", unfold);
unfold();
`;
