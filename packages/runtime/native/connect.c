/* A TCP connection from inside a sandbox's network to its own loopback, carried over the caller's socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "commands.h"
#include "fail.h"
#include "session.h"

static int connect_to(uint16_t port) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&v4, sizeof v4) == 0) return fd;
  int first = errno;
  if (fd >= 0) close(fd);
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_flowinfo = 0, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_scope_id = 0};
  fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&v6, sizeof v6) == 0) return fd;
  if (fd >= 0) close(fd);
  return errno = first, -1;
}

/* One direction: what was read and is not written yet. */
struct flow {
  int from, to;
  char data[65536];
  size_t start, end;
  bool closed;
};

static bool flow_step(struct flow *flow, short from, short to) {
  if (flow->start == flow->end && (from & (POLLIN | POLLHUP | POLLERR)) && !flow->closed) {
    ssize_t n = recv(flow->from, flow->data, sizeof flow->data, 0);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (n == 0) {
      flow->closed = true;
      shutdown(flow->to, SHUT_WR);
    }
    flow->start = 0;
    flow->end = n > 0 ? (size_t)n : 0;
  }
  if (flow->start < flow->end || (to & POLLOUT)) {
    while (flow->start < flow->end) {
      ssize_t n = send(flow->to, flow->data + flow->start, flow->end - flow->start, MSG_NOSIGNAL);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
      if (n < 0) return false;
      flow->start += (size_t)n;
    }
  }
  return true;
}

int command_connect(const char *namespace_path, const char *port_text) {
  report_to(REPORT_FRAME, SESSION_FD);
  signal(SIGPIPE, SIG_IGN);
  char *end;
  long port = strtol(port_text, &end, 10);
  if (*port_text == '\0' || *end || port < 1 || port > 65535) fail(EINVAL, "connect to port", port_text);
  if (strcmp(namespace_path, "-") != 0) {
    int namespace = open(namespace_path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0) fail(errno, "open network namespace", namespace_path);
    if (setns(namespace, CLONE_NEWNET) < 0) fail(errno, "enter network namespace", namespace_path);
    close(namespace);
  }
  int peer = connect_to((uint16_t)port);
  if (peer < 0) fail(errno, "connect to 127.0.0.1 and ::1, port", port_text);
  if (frame_write(SESSION_FD, FRAME_STARTED, "{}", 2) < 0) return 1;
  fcntl(peer, F_SETFL, O_NONBLOCK);
  fcntl(SESSION_FD, F_SETFL, O_NONBLOCK);
  static struct flow in = {.from = SESSION_FD}, out = {.to = SESSION_FD};
  in.to = peer;
  out.from = peer;
  while (!(in.closed && out.closed)) {
    struct pollfd polled[2] = {{.fd = SESSION_FD, .events = 0, .revents = 0}, {.fd = peer, .events = 0, .revents = 0}};
    if (in.start < in.end) polled[1].events |= POLLOUT;
    else if (!in.closed) polled[0].events |= POLLIN;
    if (out.start < out.end) polled[0].events |= POLLOUT;
    else if (!out.closed) polled[1].events |= POLLIN;
    /* The caller is gone for good and only its last bytes are on their way: it would report its hang-up for ever. */
    bool rest = in.closed && in.start < in.end;
    if (rest) polled[0].fd = -1;
    if (poll(polled, 2, -1) < 0 && errno != EINTR) return 1;
    if (polled[1].revents & POLLERR) return 1;
    /* Both directions are shut, so nobody reads what the peer may still say. A caller that has only ended its own side does not hang up. */
    if (!rest && in.closed && polled[0].revents & (POLLHUP | POLLERR)) return 0;
    if (!flow_step(&in, polled[0].revents, polled[1].revents) || !flow_step(&out, polled[1].revents, polled[0].revents)) return 1;
  }
  return 0;
}
