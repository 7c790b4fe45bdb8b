<?php
if (isset($_GET['retries'])) {
    ini_set('redis.session.lock_retries', $_GET['retries']);
}
session_start();
$seen = $_SESSION['seen'] ?? 0;
usleep((int) ($_GET['work'] ?? 0));
$_SESSION['seen'] = $seen + 1;
echo $_SESSION['seen'], "\n";
