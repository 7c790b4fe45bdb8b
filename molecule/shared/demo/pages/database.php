<?php
// Which database server `localhost` is, asked with the application's own account.
// The configuration is read as text: loading it would start the whole application.
preg_match_all("/define\('(DB_\w+)', '([^']*)'\)/", file_get_contents(dirname(__DIR__) . '/wp-config.php'), $found);
$settings = array_combine($found[1], $found[2]);
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$database = new mysqli('localhost', $settings['DB_USER'], $settings['DB_PASSWORD'], $settings['DB_NAME']);
$row = $database->query('SELECT @@hostname AS server, @@read_only AS read_only, USER() AS account')->fetch_assoc();
header('Content-Type: application/json');
header('Cache-Control: no-store');
echo json_encode(['node' => gethostname()] + $row), "\n";
