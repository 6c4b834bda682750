/** One line of /proc/self/mountinfo, as far as anybody here asks. @see proc_pid_mountinfo(5) */
export interface MountEntry {
  readonly id: number;
  readonly parentId: number;
  readonly device: string;
  /** Within the mounted file system. */
  readonly root: string;
  readonly target: string;
  readonly options: string;
  readonly shared: boolean;
  readonly type: string;
  readonly source: string;
  readonly superOptions: string;
}

/** Reads the text of /proc/<pid>/mountinfo, in its order (later mounts hide earlier ones at the same place). */
export function parseMountTable(text: string): readonly MountEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.split(' ');
      const dash = fields.indexOf('-', 6);
      const at = (index: number): string => decodeOctal(fields[index] ?? '');
      return {
        id: Number(at(0)),
        parentId: Number(at(1)),
        device: at(2),
        root: at(3),
        target: at(4),
        options: at(5),
        shared: fields.slice(6, dash).some((field) => field.startsWith('shared:')),
        type: at(dash + 1),
        source: at(dash + 2),
        superOptions: at(dash + 3),
      };
    });
}

function decodeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
