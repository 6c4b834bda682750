/** How many seats each priority level has, from the shares that the levels ask for. Pure. @see flowcontrol/v1, `LimitedPriorityLevelConfiguration` */

/** What a priority level asks for. */
export interface SeatShares {
  readonly shares: number;
  readonly lendablePercent: number;
  /** `undefined`: as much as others lend. */
  readonly borrowingLimitPercent: number | undefined;
}

/** In seats: what one request of width one holds while it runs. */
export interface SeatLimits {
  /** The level's part of the server. */
  readonly nominal: number;
  /** The part of it that nobody else may use. */
  readonly reserved: number;
  /** The most that it may use with what it borrows. */
  readonly most: number;
}

/** Parts `total` seats among `levels` by their shares. Each part is rounded up, so that a level with any share has a seat. */
export function planSeats(total: number, levels: ReadonlyMap<string, SeatShares>): ReadonlyMap<string, SeatLimits> {
  let sum = 0;
  for (const { shares } of levels.values()) sum += shares;
  return new Map([...levels].map(([name, level]) => [name, limitsOf(total, sum, level)]));
}

function limitsOf(total: number, sum: number, { shares, lendablePercent, borrowingLimitPercent }: SeatShares): SeatLimits {
  const nominal = sum === 0 ? 0 : Math.ceil((total * shares) / sum);
  const lendable = Math.round((nominal * lendablePercent) / 100);
  const most = borrowingLimitPercent === undefined ? total : nominal + Math.round((nominal * borrowingLimitPercent) / 100);
  return { nominal, reserved: nominal - lendable, most: Math.max(most, nominal) };
}
