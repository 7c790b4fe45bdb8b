# About 2 GB in rows of about 300 bytes with an index, as shops have them; not in the binary log, which is not copied.
set -eu
sql() { mariadb --no-defaults --socket=/run/mysqld/lamp.sock "$@"; }
sql --execute="CREATE TABLE shop.bulk (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, number INT UNSIGNED NOT NULL,
  text VARCHAR(400) NOT NULL, KEY (number)) ENGINE=InnoDB CHARACTER SET ascii"
while [ "$(du --bytes --summarize /var/lib/mysql/shop | cut --fields=1)" -lt "$1" ]; do
  sql --execute="SET SESSION sql_log_bin = 0; SET SESSION unique_checks = 0;
    INSERT INTO shop.bulk (number, text) SELECT FLOOR(RAND() * 1000000),
    CONCAT(MD5(RAND()), REPEAT(MD5(RAND()), 2), MD5(RAND()), REPEAT(MD5(RAND()), 4)) FROM shop.seq_1_to_200000"
done
