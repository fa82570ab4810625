#!/usr/bin/env bash
# Ceph's gateway: a condition with the ETag as it was given never holds on PUT, and holds on GET
#
# Version:  radosgw 16.2.15 (Debian 12), botocore 1.43.117
# Expected: If-Match with the ETag that PUT or HEAD answered lets a PUT through while that version is there; RFC 9110 has
#           the quotes belong to the tag. It does so on GET, and If-None-Match: * works on PUT.
# Seen:     Every such PUT is refused with 412 PreconditionFailed; without the quotes it is let through, and an older tag
#           is still refused.
# Source:   tried here; github.com/ceph/ceph/pull/63348 takes the quotes away in a later release
#
# Fails where what is seen has changed. Needs Debian 12 and root; apt-get refreshes its lists and downloads, and installs
# nothing. One monitor, one OSD in memory and one gateway run on the loopback out of a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill -9 $(jobs -p) 2>/dev/null || true; wait 2>/dev/null; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check botocore==1.43.117

version=16.2.15+ds-0+deb12u2
mkdir -p "$folder/debs/partial" "$folder/tree" "$folder/mon" "$folder/osd" "$folder/rgw"
touch "$folder/status"  # as if nothing were installed: every library comes along
apt-get update -qq
apt-get install -qq -y --download-only --no-install-recommends -o Dir::State::status="$folder/status" \
  -o Dir::Cache::archives="$folder/debs" -o Debug::NoLocking=1 \
  radosgw=$version ceph-mon=$version ceph-osd=$version ceph-common=$version >/dev/null
for package in "$folder"/debs/*.deb; do dpkg-deb -x "$package" "$folder/tree"; done
usr="$folder/tree/usr"
export PATH="$usr/bin:$PATH" CEPH_CONF="$folder/ceph.conf" PYTHONPATH="$usr/lib/python3/dist-packages"
libraries="$usr/lib/x86_64-linux-gnu"
ceph() { LD_LIBRARY_PATH="$libraries:$libraries/ceph" "$@"; }
stay() { LD_LIBRARY_PATH="$libraries:$libraries/ceph" exec "$@" >/dev/null 2>&1; }

read -r mon old gateway < <("$folder/venv/bin/python" -c '
import socket
found = [socket.socket() for _ in range(3)]
[one.bind(("127.0.0.1", 0)) for one in found]
print(*(one.getsockname()[1] for one in found))')
id=$(cat /proc/sys/kernel/random/uuid)
cat >"$folder/ceph.conf" <<CONF
[global]
fsid = $id
mon initial members = a
mon host = [v2:127.0.0.1:$mon,v1:127.0.0.1:$old]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = $folder/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
osd class dir = $libraries/rados-classes
erasure code dir = $libraries/ceph/erasure-code
compressor plugin dir = $libraries/ceph/compressor
mon allow pool size one = true
mon data avail warn = 1
mon data avail crit = 0
mon max pg per osd = 1000
run dir = $folder
admin socket = $folder/\$name.\$pid.asok
log file = $folder/\$name.log
mon data = $folder/mon
osd data = $folder/osd
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$gateway
rgw data = $folder/rgw
CONF
key() { ceph ceph-authtool "$folder/keyring" "$@" >/dev/null; }
key --create-keyring --gen-key -n mon. --cap mon 'allow *'
key --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *'
key --gen-key -n client.rgw --cap mon 'allow *' --cap osd 'allow *'
key --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
{
  ceph monmaptool --create --fsid "$id" --addv a "[v2:127.0.0.1:$mon,v1:127.0.0.1:$old]" "$folder/monmap"
  ceph ceph-mon --mkfs -i a --monmap "$folder/monmap" --keyring "$folder/keyring"
} >/dev/null 2>&1
stay ceph-mon -i a --foreground &
ceph /usr/bin/python3 "$usr/bin/ceph" --connect-timeout 60 osd create >/dev/null
ceph ceph-osd -i 0 --mkfs >/dev/null 2>&1
stay ceph-osd -i 0 --foreground &
stay radosgw -n client.rgw --foreground &
for _ in $(seq 60); do (: </dev/tcp/127.0.0.1/"$gateway") 2>/dev/null && break || sleep 1; done
ceph radosgw-admin -n client.rgw user create --uid=u --display-name=u --access-key=key --secret=word >/dev/null 2>&1

unset PYTHONPATH
"$folder/venv/bin/python" - "$gateway" "$(ceph radosgw --version)" <<'PY'
import sys

from botocore.exceptions import ClientError
from botocore.session import get_session

s3 = get_session().create_client(
    "s3", region_name="us-east-1", endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", aws_access_key_id="key", aws_secret_access_key="word"
)


def answer(method, **words):
    try:
        return getattr(s3, method)(Bucket="bucket", Key="object", **words)["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        return error.response["Error"]["Code"]


s3.create_bucket(Bucket="bucket")
first = s3.put_object(Bucket="bucket", Key="object", Body=b"1", IfNoneMatch="*")["ETag"]
seen = {"made once more": answer("put_object", Body=b"2", IfNoneMatch="*")}
seen["GET, as given"] = answer("get_object", IfMatch=first)
seen["PUT, as given"] = answer("put_object", Body=b"2", IfMatch=first)
seen["PUT, without quotes"] = answer("put_object", Body=b"2", IfMatch=first.strip('"'))
seen["PUT, an older one without quotes"] = answer("put_object", Body=b"3", IfMatch=first.strip('"'))
print(sys.argv[2], seen)
assert seen == {
    "made once more": "PreconditionFailed",
    "GET, as given": 200,
    "PUT, as given": "PreconditionFailed",
    "PUT, without quotes": 200,
    "PUT, an older one without quotes": "PreconditionFailed",
}, "changed"
PY
