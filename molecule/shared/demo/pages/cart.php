<?php
// A cart in the session: ?add=NAME puts something in; the answer is what lies in it and where it was read.
session_start();
$_SESSION['cart'] ??= [];
if (isset($_GET['add'])) {
    $_SESSION['cart'][] = (string) $_GET['add'];
}
header('Content-Type: application/json');
echo json_encode(['node' => gethostname(), 'cart' => $_SESSION['cart']]), "\n";
