<?php
// A page that may be cached: every fetch gives another number.
header('Content-Type: application/json');
header('Cache-Control: public, max-age=60');
echo json_encode(['node' => gethostname(), 'number' => bin2hex(random_bytes(8))]), "\n";
