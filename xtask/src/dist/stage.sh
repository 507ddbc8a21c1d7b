# Installs a Debian package on a copy of a clean system and starts the app there.
# Runs as root in mount and process namespaces of its own.
set -eu
base=$1 package=$2 first_start=$3 artifacts=$4

# The clean system stays clean: what changes is kept in memory and forgotten.
place=$(mktemp -d)
trap 'umount --lazy "$place"; rmdir "$place"' EXIT
mount -t tmpfs tmpfs "$place"
root=$place/root
mkdir "$place/changes" "$place/work" "$root"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$place/changes,workdir=$place/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir "$root/artifacts"
mount --bind "$artifacts" "$root/artifacts"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cp "$package" "$root/tmp/longtake.deb"
cp "$first_start" "$root/tmp/first_start.sh"

chroot "$root" sh -eu <<'INSIDE'
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
apt-get update -q
# Without what is merely recommended: the package has to name all that the app needs.
apt-get install -q -y --no-install-recommends /tmp/longtake.deb

desktop=$(dpkg -L longtake | grep '/applications/.*\.desktop$')
desktop-file-validate "$desktop"
grep -q '^MimeType=.*x-scheme-handler/longtake' "$desktop"
for file in copyright LICENSE-MIT LICENSE-APACHE third-party-licences.txt; do
  test -s "/usr/share/doc/longtake/$file"
done

useradd --create-home person
chmod 777 /artifacts
# dbus-run-session is not there on purpose: nor is a keyring on a clean system.
exec su person -c "xvfb-run --auto-servernum --server-args='-screen 0 1280x800x24' sh /tmp/first_start.sh"
INSIDE
