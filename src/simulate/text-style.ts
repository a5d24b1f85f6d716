/** What the reader's screen can show. */
export interface TextStyle {
  /** Columns. */
  readonly width: number
  readonly colour: boolean
  /** Block characters; without them bars are made of `#`. */
  readonly blocks: boolean
}

const codes = { bold: [1, 22], dim: [2, 22], bar: [36, 39], warn: [31, 39] } as const

export type Paint = (text: string, as: keyof typeof codes) => string

export const painter =
  ({ colour }: TextStyle): Paint =>
  (text, as) =>
    colour ? `\u001b[${codes[as][0]}m${text}\u001b[${codes[as][1]}m` : text

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A bar of `share` (0 to 1) of `width` columns, padded to that width. */
export const bar = (share: number, width: number, { blocks }: TextStyle): string => {
  if (!blocks) return '#'.repeat(Math.round(share * width)).padEnd(width)
  const cells = Math.round(share * width * 8)
  return `${'█'.repeat(cells >> 3)}${eighths[cells & 7] ?? ''}`.padEnd(width)
}

/** One column of a table. Those with the highest `spare` go first when the table is too wide; without it a column stays. */
export interface Column<Row> {
  readonly head: string
  readonly cell: (row: Row) => string
  readonly left?: boolean
  readonly spare?: number
}

const gap = 2
const longest = 28

/** The lines of a table, its head first, no wider than `width` as far as columns can be spared. */
export const tableLines = <Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number,
): readonly string[] => {
  const filled = columns.map((column) => {
    const cells = rows.map((row) => shortened(column.cell(row)))
    return { ...column, cells, width: Math.max(column.head.length, ...cells.map((cell) => cell.length)) }
  })
  const shown = fitting(filled, width)
  const line = (of: (column: (typeof shown)[number]) => string): string =>
    shown
      .map((column) => (column.left ? of(column).padEnd(column.width) : of(column).padStart(column.width)))
      .join(' '.repeat(gap))
      .trimEnd()
  return [line(({ head }) => head), ...rows.map((_, i) => line(({ cells }) => cells[i] ?? ''))]
}

const fitting = <C extends { readonly width: number; readonly spare?: number }>(
  columns: readonly C[],
  width: number,
): readonly C[] => {
  const needed = columns.reduce((sum, column) => sum + column.width + gap, -gap)
  const spare = Math.max(...columns.map((column) => column.spare ?? 0))
  if (needed <= width || spare <= 0) return columns
  const goes = columns.findIndex((column) => column.spare === spare)
  return fitting(columns.toSpliced(goes, 1), width)
}

const shortened = (text: string): string => (text.length > longest ? `${text.slice(0, longest - 1)}…` : text)
