<?php
// One visitor's request: counts a session up, with the settings that a site would have.
[$script, $port, $user, $password, $prefix, $id, $times] = $argv;
ini_set('session.save_handler', 'redis');
ini_set('session.save_path', "tcp://127.0.0.1:$port?auth[user]=$user&auth[pass]=$password&prefix=$prefix&timeout=1&read_timeout=2");
ini_set('session.use_strict_mode', '0');
ini_set('session.gc_probability', '0');
ini_set('redis.session.locking_enabled', '1');
ini_set('redis.session.lock_expire', '30');
ini_set('redis.session.lock_wait_time', '20000');
ini_set('redis.session.lock_retries', '500');
for ($i = 0; $i < $times; $i++) {
    session_id($id);
    if (!session_start(['use_cookies' => false, 'cache_limiter' => ''])) {
        exit(1);
    }
    $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
    usleep(5000);
    if (!session_write_close()) {
        exit(2);
    }
}
echo $_SESSION['count'], "\n";
