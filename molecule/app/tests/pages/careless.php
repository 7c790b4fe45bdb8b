<?php
// Does what applications in debug mode do: shows errors, keeps a log of its own, has no use for other handlers.
restore_error_handler();
restore_exception_handler();
error_reporting(E_ALL);
ini_set('display_errors', '1');
ini_set('error_log', __DIR__ . '/debug.log');
session_start();
echo "went on\n";
