#!/bin/busybox sh
# Runs commands that come over the virtio serial port, so that a machine answers also while its network is cut.
# request: <id> <base64 of a script for sh>     reply: <id> <exit code> <base64 stdout or -> <base64 stderr or ->
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
for port in /sys/class/virtio-ports/*; do [ "$(cat $port/name)" = lab ] && device=/dev/${port##*/}; done
[ -n "$device" ] || { sleep 1; exit 1; }
exec 3<>$device
dir=/run/lab
echo 'ready 0 - -' >&3
while IFS=' ' read -r id body <&3; do
  (
    echo 0 > /proc/self/oom_score_adj
    echo "$body" | base64 -d > $dir/$id.sh
    # Descriptors 3 and 9 are closed for the script: a daemon that it starts would hold the port and the lock for ever.
    /bin/sh $dir/$id.sh > $dir/$id.out 2> $dir/$id.err < /dev/null 3>&- 9>&-
    code=$?
    [ -s $dir/$id.out ] && out=$(base64 -w0 $dir/$id.out) || out=-
    [ -s $dir/$id.err ] && err=$(base64 -w0 $dir/$id.err) || err=-
    rm -f $dir/$id.*
    flock 9
    echo "$id $code $out $err" >&3
  ) 9>$dir/lock &
done
