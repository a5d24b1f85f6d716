const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A bar of `value` out of `largest`, drawn to an eighth of a character, cut at and padded to `width` characters. */
export const bar = (value: number, largest: number, width: number): string => {
  const units = largest <= 0 ? 0 : Math.round(Math.min(1, value / largest) * width * 8)
  return `${'█'.repeat(Math.floor(units / 8))}${eighths[units % 8]}`.padEnd(width)
}

export interface Column {
  readonly title: string
  readonly subtitle: string
  readonly counts: ReadonlyMap<string, number>
}

/** Rows of bars: what each of `rows` has in each column. */
export const barTable = (
  rows: readonly { readonly key: string; readonly label: string }[],
  columns: readonly Column[],
): string => {
  const labelWidth = Math.max(...rows.map(({ label }) => label.length)) + 2
  const barWidth = 14
  const cellWidth = Math.max(barWidth + 6, ...columns.map(({ subtitle }) => subtitle.length + 2))
  const largest = Math.max(1, ...columns.flatMap(({ counts }) => [...counts.values()]))
  const header = (pick: (column: Column) => string): string =>
    `${' '.repeat(labelWidth)}${columns.map((column) => pick(column).padEnd(cellWidth)).join('')}`.trimEnd()
  const lines = rows.map(({ key, label }) => {
    const cells = columns.map(({ counts }) => {
      const count = counts.get(key) ?? 0
      return `${bar(count, largest, barWidth)} ${String(count).padStart(4)}`.padEnd(cellWidth)
    })
    return `${label.padEnd(labelWidth)}${cells.join('')}`.trimEnd()
  })
  return [header(({ title }) => title), header(({ subtitle }) => subtitle), ...lines].join('\n')
}
