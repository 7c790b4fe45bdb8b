<?php
// Which node answered, which tree it showed, and whom it takes the visitor for.
header('Content-Type: application/json');
header('Cache-Control: no-store');
echo json_encode([
    'node' => gethostname(),
    'tree' => __DIR__,
    'client' => $_SERVER['REMOTE_ADDR'] ?? null,
    'https' => $_SERVER['HTTPS'] ?? null,
    'host' => $_SERVER['HTTP_HOST'] ?? null,
    'method' => $_SERVER['REQUEST_METHOD'],
]), "\n";
