/** Something the person at the keyboard can mend: shown as one line, without a stack. */
export class UserFault extends Error {
  override readonly name = 'UserFault';
  readonly code = 'CLI_USER_FAULT';
}

/** @throws {UserFault} This process is not root's. */
export function requireRoot(command: string, why: string): void {
  if (process.getuid?.() !== 0) throw new UserFault(`dure ${command} needs root: ${why}. Nothing was changed; run it again with sudo.`);
}
