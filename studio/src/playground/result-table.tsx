/** A table of results in a region that scrolls. Consumed by changes-view.tsx, toy-view.tsx and verify-view.tsx. */
import type { ComponentChildren } from "preact";

export interface ResultColumn<Row> {
  readonly head: string;
  readonly of: (row: Row) => ComponentChildren;
  /** What the row is called by its cells' readers: one column of a table. */
  readonly names?: true;
  /** Its numbers stand below each other. */
  readonly number?: true;
  readonly class?: (row: Row) => string | undefined;
}

interface ResultTableProps<Row> {
  /** What those hear who do not see the table. */
  readonly label: string;
  readonly caption?: string;
  readonly columns: readonly ResultColumn<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  readonly rowClass?: (row: Row) => string | undefined;
}

export function ResultTable<Row>({ label, caption, columns, rows, keyOf, rowClass }: ResultTableProps<Row>) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={label}>
      <table class="result-table">
        {caption !== undefined && <caption>{caption}</caption>}
        <thead>
          <tr>
            {columns.map(({ head, number }) => (
              <th key={head} scope="col" class={number && "number"}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} class={rowClass?.(row)}>
              {columns.map(({ head, of, names, number, class: classOf }) =>
                names ? (
                  <th key={head} scope="row">
                    {of(row)}
                  </th>
                ) : (
                  <td key={head} class={number ? "number" : classOf?.(row)}>
                    {of(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
