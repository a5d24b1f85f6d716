/** Greatest common divisor of two whole numbers that are not negative; 0 when both are 0. */
export const gcd = (a: number, b: number): number => {
  let x = a
  let y = b
  while (y !== 0) {
    const rest = x % y
    x = y
    y = rest
  }
  return x
}
