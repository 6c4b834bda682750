#include "rootfs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fail.h"
#include "kernel.h"

/* An image can chain links; the kernel itself gives up at 40. */
#define LINK_DEPTH_MAX 16

struct flag {
  const char *name;
  unsigned long mount_flag;
  uint64_t attribute;
};

static const struct flag FLAGS[] = {
    {"ro", MS_RDONLY, K_MOUNT_ATTR_RDONLY},   {"nosuid", MS_NOSUID, K_MOUNT_ATTR_NOSUID}, {"nodev", MS_NODEV, K_MOUNT_ATTR_NODEV},
    {"noexec", MS_NOEXEC, K_MOUNT_ATTR_NOEXEC}, {"strictatime", MS_STRICTATIME, 0},        {"relatime", MS_RELATIME, 0},
};

static const struct flag *flag_named(const char *name, size_t length) {
  for (size_t i = 0; i < sizeof FLAGS / sizeof FLAGS[0]; i++)
    if (strlen(FLAGS[i].name) == length && memcmp(FLAGS[i].name, name, length) == 0) return &FLAGS[i];
  return NULL;
}

/* Splits `ro,nodev`. A name with a leading r (rro, rnodev) holds for all mounts beneath as well. */
static void parse_attributes(const char *list, uint64_t *top, uint64_t *recursive) {
  *top = *recursive = 0;
  while (*list) {
    size_t length = strcspn(list, ",");
    const struct flag *flag = flag_named(list, length);
    bool deep = !flag && list[0] == 'r' && (flag = flag_named(list + 1, length - 1)) != NULL;
    if (!flag || !flag->attribute) fail(0, "read plan: unknown mount attribute", list);
    *(deep ? recursive : top) |= flag->attribute;
    list += length + (list[length] == ',');
  }
}

static unsigned long parse_mount_flags(const char *list) {
  unsigned long flags = 0;
  while (*list) {
    size_t length = strcspn(list, ",");
    const struct flag *flag = flag_named(list, length);
    if (!flag) fail(0, "read plan: unknown mount flag", list);
    flags |= flag->mount_flag;
    list += length + (list[length] == ',');
  }
  return flags;
}

static void set_attributes(int tree, uint64_t attributes, uint64_t propagation, bool recursive, const char *subject) {
  if (attributes == 0 && propagation == 0) return;
  struct k_mount_attr attr = {.attr_set = attributes, .attr_clr = 0, .propagation = propagation, .userns_fd = 0};
  if (k_mount_setattr(tree, recursive ? K_AT_RECURSIVE : 0, &attr) < 0) fail(errno, "set mount attributes of", subject);
}

int *rootfs_open_sources(const struct plan *plan) {
  int *sources = malloc(sizeof(int) * (plan->count + 1));
  if (!sources) fail(ENOMEM, "prepare mounts", NULL);
  for (unsigned i = 0; i < plan->count; i++) {
    const struct record *record = &plan->records[i];
    sources[i] = -1;
    if (!record_is(record, "bind")) continue;
    const char *source = record->fields[0].text, *propagation = record->fields[3].text;
    int tree = k_open_tree(AT_FDCWD, source, K_OPEN_TREE_CLONE | K_AT_RECURSIVE | O_CLOEXEC);
    if (tree < 0) fail(errno, "open mount source", source);
    uint64_t top, recursive;
    parse_attributes(record->fields[2].text, &top, &recursive);
    uint64_t kind;
    if (strcmp(propagation, "private") == 0) kind = MS_PRIVATE;
    else if (strcmp(propagation, "rslave") == 0) kind = MS_SLAVE;
    else if (strcmp(propagation, "rshared") == 0) kind = MS_SHARED;
    else fail(0, "read plan: unknown propagation", propagation);
    set_attributes(tree, recursive, kind, true, source);
    set_attributes(tree, top, 0, false, source);
    sources[i] = tree;
  }
  return sources;
}

/* The path up to and without its last component; "" at the top. */
static void parent_of(const char *path, char *parent) {
  strcpy(parent, path);
  char *slash = strrchr(parent, '/');
  if (slash) *slash = '\0';
  else parent[0] = '\0';
}

static int open_or_make(int root, const char *path, bool directory, int depth) {
  int fd = k_open_in_root(root, path, O_PATH);
  if (fd >= 0 || errno != ENOENT) return fd;
  if (depth == LINK_DEPTH_MAX) return errno = ELOOP, -1;

  char parent[PATH_MAX], link[PATH_MAX], next[PATH_MAX];
  size_t length = strlen(path);
  if (length == 0 || length >= sizeof parent) return errno = length ? ENAMETOOLONG : ENOENT, -1;
  char whole[PATH_MAX];
  strcpy(whole, path);
  while (length > 1 && whole[length - 1] == '/') whole[--length] = '\0';
  parent_of(whole, parent);
  const char *name = strrchr(whole, '/') ? strrchr(whole, '/') + 1 : whole;

  int above = open_or_make(root, parent[0] ? parent : "/", true, depth + 1);
  if (above < 0) return -1;
  int made = directory ? mkdirat(above, name, 0755) : mknodat(above, name, S_IFREG | 0644, 0);
  if (made < 0 && errno == EEXIST) {
    /* A link whose target is missing: make the target, still within the root. */
    ssize_t n = readlinkat(above, name, link, sizeof link - 1);
    close(above);
    if (n < 0) return -1;
    link[n] = '\0';
    int wrote = link[0] == '/' ? snprintf(next, sizeof next, "%s", link) : snprintf(next, sizeof next, "%s/%s", parent, link);
    if (wrote < 0 || (size_t)wrote >= sizeof next) return errno = ENAMETOOLONG, -1;
    return open_or_make(root, next, directory, depth + 1);
  }
  int error = errno;
  close(above);
  if (made < 0) return errno = error, -1;
  return k_open_in_root(root, path, O_PATH);
}

int open_or_make_in_root(int root, const char *path, bool directory) { return open_or_make(root, path, directory, 0); }

static int target_in_root(int root, const char *path, bool directory, const char *step) {
  int fd = open_or_make_in_root(root, path, directory);
  if (fd < 0) fail(errno, step, path);
  return fd;
}

/* mount(2) upon a directory we hold open: "." of it, so that no path is walked twice. */
static void mount_on(int target, const char *type, const char *source, unsigned long flags, const char *data, const char *subject) {
  if (fchdir(target) < 0) fail(errno, "enter mount target", subject);
  if (mount(source, ".", type, flags, data && *data ? data : NULL) < 0) {
    char step[64];
    snprintf(step, sizeof step, "mount %.32s on", type);
    fail(errno, step, subject);
  }
}

static void bind(int root, const struct record *record, int tree) {
  const char *target = record->fields[1].text;
  struct stat status;
  if (fstat(tree, &status) < 0) fail(errno, "stat mount source", record->fields[0].text);
  int at = target_in_root(root, target, S_ISDIR(status.st_mode), "make mount target");
  if (k_move_mount(tree, at) < 0) fail(errno, "mount on", target);
  close(at);
  close(tree);
}

static void mount_file_system(int root, const struct record *record) {
  const struct field *f = record->fields;
  int at = target_in_root(root, f[2].text, true, "make mount target");
  mount_on(at, f[0].text, f[1].text, parse_mount_flags(f[3].text), f[4].text, f[2].text);
  close(at);
}

static void make_node(int root, const struct record *record) {
  const struct field *f = record->fields;
  char parent[PATH_MAX];
  parent_of(f[0].text, parent);
  const char *name = strrchr(f[0].text, '/') + 1;
  mode_t kind = f[1].text[0] == 'c' ? S_IFCHR : f[1].text[0] == 'b' ? S_IFBLK : f[1].text[0] == 'p' ? S_IFIFO : 0;
  if (!kind) fail(0, "read plan: unknown kind of node", f[1].text);
  int above = target_in_root(root, parent[0] ? parent : "/", true, "make directory of node");
  if (mknodat(above, name, kind | (mode_t)f[4].number, makedev((unsigned)f[2].number, (unsigned)f[3].number)) < 0 && errno != EEXIST)
    fail(errno, "make node", f[0].text);
  if (fchmodat(above, name, (mode_t)f[4].number, 0) < 0) fail(errno, "set mode of node", f[0].text);
  if (fchownat(above, name, (uid_t)f[5].number, (gid_t)f[6].number, AT_SYMLINK_NOFOLLOW) < 0) fail(errno, "set owner of node", f[0].text);
  close(above);
}

static void make_link(int root, const struct record *record) {
  const char *path = record->fields[1].text;
  char parent[PATH_MAX];
  parent_of(path, parent);
  int above = target_in_root(root, parent[0] ? parent : "/", true, "make directory of link");
  if (symlinkat(record->fields[0].text, above, strrchr(path, '/') + 1) < 0 && errno != EEXIST) fail(errno, "make link", path);
  close(above);
}

/* Nothing can be read there any more. What the container has not got needs no mask. */
static void mask(int root, const char *path, int null) {
  int at = k_open_in_root(root, path, O_PATH);
  if (at < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return;
    fail(errno, "open masked path", path);
  }
  struct stat status;
  if (fstat(at, &status) < 0) fail(errno, "stat masked path", path);
  if (S_ISDIR(status.st_mode)) {
    mount_on(at, "tmpfs", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0k,nr_inodes=1,mode=755", path);
  } else {
    int tree = k_open_tree(null, "", K_OPEN_TREE_CLONE | AT_EMPTY_PATH | O_CLOEXEC);
    if (tree < 0) fail(errno, "clone", "/dev/null");
    if (k_move_mount(tree, at) < 0) fail(errno, "mask", path);
    close(tree);
  }
  close(at);
}

static void make_read_only(int root, const char *path) {
  int at = k_open_in_root(root, path, O_PATH);
  if (at < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return;
    fail(errno, "open read-only path", path);
  }
  int tree = k_open_tree(at, "", K_OPEN_TREE_CLONE | K_AT_RECURSIVE | AT_EMPTY_PATH | O_CLOEXEC);
  if (tree < 0) fail(errno, "clone", path);
  set_attributes(tree, K_MOUNT_ATTR_RDONLY, 0, true, path);
  if (k_move_mount(tree, at) < 0) fail(errno, "mount read-only on", path);
  close(tree);
  close(at);
}

/*
 * Layers are named by descriptor: their paths hold colons and commas, which are overlayfs's own separators, and the option
 * string may not pass a page. The descriptors are opened in this mount namespace, since overlayfs takes layers from no other.
 */
static void mount_overlay(int root, const struct record *record) {
  char options[4096];
  size_t n = 0;
  for (unsigned i = 3; i < record->count; i++) {
    int layer = open(record->fields[i].text, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (layer < 0) fail(errno, "open layer", record->fields[i].text);
    n += (size_t)snprintf(options + n, sizeof options - n, "%s/proc/self/fd/%d", i == 3 ? "lowerdir=" : ":", layer);
    if (n >= sizeof options) fail(E2BIG, "mount overlay: too many layers", NULL);
  }
  int upper = open(record->fields[1].text, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (upper < 0) fail(errno, "open writable layer", record->fields[1].text);
  int work = open(record->fields[2].text, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (work < 0) fail(errno, "open work directory", record->fields[2].text);
  const char *extra = record->fields[0].text;
  n += (size_t)snprintf(options + n, sizeof options - n, ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d%s%s", upper, work,
                        *extra ? "," : "", extra);
  if (n >= sizeof options) fail(E2BIG, "mount overlay: too many layers", NULL);
  if (fchdir(root) < 0) fail(errno, "enter root", NULL);
  if (mount("overlay", ".", "overlay", MS_NODEV, options) < 0) fail(errno, "mount overlay with writable layer", record->fields[1].text);
}

void rootfs_enter(const struct plan *plan, const int *sources) {
  const char *path = plan_need(plan, "root")->fields[0].text;
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) fail(errno, "make mounts private", "/");
  int null = open("/dev/null", O_PATH | O_CLOEXEC);
  if (null < 0) fail(errno, "open", "/dev/null");
  int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) fail(errno, "open root", path);

  const struct record *overlay = plan_find(plan, "overlay");
  if (overlay) mount_overlay(root, overlay);
  else if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0) fail(errno, "bind root", path);
  close(root);
  /* Opened again: the descriptor above still names what lies under the mount. */
  root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) fail(errno, "open root", path);

  uint64_t attributes = 0, unused;
  for (unsigned i = 0; i < plan->count; i++) {
    const struct record *record = &plan->records[i];
    if (record_is(record, "bind")) bind(root, record, sources[i]);
    else if (record_is(record, "mount")) mount_file_system(root, record);
    else if (record_is(record, "mknod")) make_node(root, record);
    else if (record_is(record, "symlink")) make_link(root, record);
    else if (record_is(record, "mask")) mask(root, record->fields[0].text, null);
    else if (record_is(record, "readonly")) make_read_only(root, record->fields[0].text);
    else if (record_is(record, "root-flags")) parse_attributes(record->fields[0].text, &attributes, &unused);
    else if (record_is(record, "mkdir")) {
      int made = target_in_root(root, record->fields[0].text, true, "make directory");
      char self[64];
      snprintf(self, sizeof self, "/proc/self/fd/%d", made);
      if (chmod(self, (mode_t)record->fields[1].number) < 0) fail(errno, "set mode of", record->fields[0].text);
      close(made);
    }
  }
  /* The working directory must exist before the root turns read-only. */
  const struct record *directory = plan_find(plan, "directory");
  if (directory) {
    int made = open_or_make_in_root(root, directory->fields[0].text, true);
    if (made < 0) fail(errno, "make working directory", directory->fields[0].text);
    close(made);
  }
  set_attributes(root, attributes, 0, false, "/");

  if (fchdir(root) < 0) fail(errno, "enter root", path);
  /* Old root upon new root, then off: needs no directory in the container. @see pivot_root(2), NOTES */
  if (syscall(SYS_pivot_root, ".", ".") < 0) fail(errno, "pivot_root to", path);
  if (umount2(".", MNT_DETACH) < 0) fail(errno, "detach old root", NULL);
  if (chdir("/") < 0) fail(errno, "enter", "/");
  close(root);
  close(null);
}
