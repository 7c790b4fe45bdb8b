# A server as a new machine has it.
set -eu
systemctl stop mariadb
rm -rf /var/lib/mysql /var/lib/lamp/mysql/seeding.json /var/lib/tarred
install --directory --owner=mysql --group=mysql --mode=0755 /var/lib/mysql
mariadb-install-db --user=mysql --datadir=/var/lib/mysql --skip-test-db >/dev/null 2>&1
systemctl start mariadb
