/*
 * What is spoken on a session socket (the descriptor 3 a caller passes, and the control socket of a container), and
 * between the child and its supervisor before exec.
 *
 * A frame is one letter, a 32 bit length in network order, and that many bytes.
 */
#ifndef DURE_SESSION_H
#define DURE_SESSION_H

#include <stddef.h>
#include <stdint.h>

/* From the supervisor. */
#define FRAME_STARTED 'S' /* JSON: the program has been executed */
#define FRAME_FAILED 'F'  /* JSON: see fail.h */
#define FRAME_STDOUT 'O'
#define FRAME_STDERR 'E'
#define FRAME_EXITED 'X' /* JSON: see supervise.c */
#define FRAME_REPLY 'R'  /* empty when it worked, else the reason; answers L and K in order */

/* To the supervisor. */
#define FRAME_ATTACH 'A' /* wants output from now on; byte 0: 1 when this client gives stdin */
#define FRAME_STDIN 'I'
#define FRAME_CLOSE 'C'  /* stdin has ended */
#define FRAME_RESIZE 'W' /* columns and rows, 16 bit each, network order */
#define FRAME_REOPEN 'L' /* open the log file anew */
#define FRAME_SIGNAL 'K' /* one byte: the signal for the program */

#define FRAME_HEADER 5
#define FRAME_DATA_MAX 65536

/* From the child. */
#define PACKET_TERMINAL 'T' /* carries the master's descriptor */
#define PACKET_EXECUTING 'G' /* nothing is left but execve */
#define PACKET_FAILED 'F'

/* Writes one frame, waiting as long as the peer takes. Returns 0, or -1 when the peer is gone. */
int frame_write(int fd, char type, const void *data, size_t length);

#endif
