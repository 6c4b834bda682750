import type { Architecture } from './debian.ts';
import { debianUnavailable, unpackedClosure } from './debian.ts';
import { type BuiltImage, buildImage, type FileRecipe, type LayerRecipe } from './image-builder.ts';
import { runCommand } from './process.ts';

export interface RecipeOptions {
  /** Default: this machine's. */
  readonly architecture?: Architecture;
}

const PATH_ENV = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const ACCOUNTS: Readonly<Record<string, FileRecipe>> = {
  '/etc/passwd': {
    kind: 'file',
    content: [
      'root:x:0:0:root:/root:/bin/sh',
      'daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin',
      'www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin',
      'app:x:1000:1000:app:/home/app:/bin/sh',
      'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
      '',
    ].join('\n'),
  },
  '/etc/group': { kind: 'file', content: 'root:x:0:\ndaemon:x:1:\nstaff:x:50:app\nwww-data:x:33:\napp:x:1000:\nnogroup:x:65534:\n' },
  '/etc/shells': { kind: 'file', content: '/bin/sh\n' },
  '/etc/nsswitch.conf': { kind: 'file', content: 'passwd: files\ngroup: files\nhosts: files dns\n' },
  '/home/app': { kind: 'directory', uid: 1000, gid: 1000 },
};

/** What every image with a C library stands on, so that they share it. */
const BASE: LayerRecipe = {
  packages: ['bash', 'coreutils', 'curl', 'dash', 'grep', 'sed'],
  // The link belongs to no package where a maintainer script makes it.
  files: { ...ACCOUNTS, '/usr/bin/sh': { kind: 'symlink', target: 'dash' } },
};

/** Debian's static busybox with a link for each applet; a shell if told nothing else. */
export async function busyboxImage(options: RecipeOptions = {}): Promise<BuiltImage> {
  const applets = await busyboxApplets();
  const links = applets
    .filter((name) => name !== 'busybox')
    .map((name): [string, FileRecipe] => [`/bin/${name}`, { kind: 'symlink', target: 'busybox' }]);
  return buildImage({
    ...options,
    layers: [
      {
        packages: ['busybox-static'],
        pick: { '/bin/busybox': '/bin/busybox' },
        files: {
          ...Object.fromEntries(links),
          ...ACCOUNTS,
          '/root': { kind: 'directory', mode: 0o700 },
          '/tmp': { kind: 'directory', mode: 0o1777 },
          '/usr/bin/env': { kind: 'symlink', target: '/bin/busybox' },
          '/usr/sbin': { kind: 'directory' },
          '/var/www/index.html': { kind: 'file', content: 'busybox\n' },
        },
      },
    ],
    config: { cmd: ['sh'], env: [PATH_ENV] },
  });
}

/**
 * nginx on port 80. `/` answers `dure web <version>`, `/hostname` the container's host name, `/version` the version alone, `/headers` what it was
 * asked with; every answer has `X-Hostname`. Versions differ in the topmost layer only. Ends cleanly on its stop signal SIGQUIT.
 */
export async function webImage(version: string, options: RecipeOptions = {}): Promise<BuiltImage> {
  return buildImage({
    ...options,
    layers: [
      BASE,
      { packages: ['nginx-light'], files: { '/etc/nginx/nginx.conf': { kind: 'file', content: NGINX_CONF } } },
      {
        files: {
          '/usr/share/nginx/html/index.html': { kind: 'file', content: `dure web ${version}\n` },
          '/usr/share/nginx/html/version': { kind: 'file', content: `${version}\n` },
        },
      },
    ],
    config: {
      cmd: ['/usr/sbin/nginx', '-g', 'daemon off;'],
      env: [PATH_ENV, `WEB_VERSION=${version}`],
      stopSignal: 'SIGQUIT',
      exposedPorts: ['80/tcp'],
      labels: { version },
    },
  });
}

/** What a person wants inside a cluster to look around: curl, ip, dig, nslookup, tar, ps, nc and a shell. Sleeps if told nothing else. */
export async function toolsImage(options: RecipeOptions = {}): Promise<BuiltImage> {
  return buildImage({
    ...options,
    layers: [
      BASE,
      {
        packages: ['iproute2', 'bind9-dnsutils', 'netcat-openbsd', 'iputils-ping', 'procps', 'tar', 'gzip', 'findutils', 'hostname'],
        // The link is an alternative that a maintainer script makes.
        files: { '/usr/bin/nc': { kind: 'symlink', target: 'nc.openbsd' } },
      },
    ],
    config: { cmd: ['sleep', 'infinity'], env: [PATH_ENV], workingDir: '/root' },
  });
}

/** One static program and nothing else: no shell, no `/etc`, no directories. Sleeps an hour if told nothing else. */
export async function scratchImage(options: RecipeOptions = {}): Promise<BuiltImage> {
  return buildImage({
    ...options,
    layers: [{ packages: ['busybox-static'], pick: { '/bin/busybox': '/busybox' } }],
    config: { entrypoint: ['/busybox'], cmd: ['sleep', '3600'], env: [] },
  });
}

/** Why these images cannot be built here, `undefined` if they can. */
export async function imagesUnavailable(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'building images needs root';
  return debianUnavailable();
}

/** Asked of this machine's build, which has the same applets on every architecture. */
async function busyboxApplets(): Promise<readonly string[]> {
  const root = await unpackedClosure({ packages: ['busybox-static'] });
  const { stdout } = await runCommand(`${root}/bin/busybox`, ['--list']);
  return stdout.split('\n').filter((name) => name !== '');
}

const NGINX_CONF = `user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log stderr notice;
events { worker_connections 512; }
http {
  include /etc/nginx/mime.types;
  default_type text/plain;
  access_log off;
  server_tokens off;
  keepalive_timeout 65;
  keepalive_requests 1000000;
  add_header X-Hostname $hostname always;
  server {
    listen 80 default_server;
    root /usr/share/nginx/html;
    location = /hostname { return 200 "$hostname\\n"; }
    location = /headers { return 200 "$request_method $request_uri\\nhost: $http_host\\nremote: $remote_addr\\n"; }
    location = /healthz { return 200 "ok\\n"; }
  }
}
`;
