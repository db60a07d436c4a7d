# chat_cors: headers for scripts of other origins, and preflight answers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Chat::Nginx;
use Test::Nginx::Socket 'no_plan';

Chat::Nginx::setup(workers => 1);

our $Http = http_config();

our $Location = <<'END';
    location = /messages {
        client_max_body_size 100;
        chat_history  chat;
        chat_publish  chat new_message;
    }
END

run_tests();

__DATA__

=== TEST 1: off by default
--- http_config eval: $::Http
--- config eval: $::Location
--- request eval
["GET /messages", "POST /messages\n{\"content\":\"a\"}"]
--- more_headers
Content-Type: application/json
Origin: https://app.example.com
--- error_code eval
[200, 201]
--- response_headers eval
["!Access-Control-Allow-Origin", "!Access-Control-Allow-Origin"]



=== TEST 2: off: no preflight
--- http_config eval: $::Http
--- config eval: $::Location
--- request
OPTIONS /messages
--- more_headers
Origin: https://app.example.com
Access-Control-Request-Method: POST
--- error_code: 405
--- response_headers
!Access-Control-Allow-Origin
!Access-Control-Allow-Methods



=== TEST 3: *: on every answer
--- http_config eval: $::Http
--- config eval: "chat_cors *;" . $::Location
--- request eval
["GET /messages", "HEAD /messages", "POST /messages\n{\"content\":\"a\"}",
 "POST /messages\n{}", "POST /messages\nx", "GET /messages?limit=x",
 "DELETE /messages", "POST /messages\n{\"content\":\"" . "x" x 100 . "\"}"]
--- more_headers
Content-Type: application/json
Origin: https://app.example.com
--- error_code eval
[200, 200, 201, 422, 400, 400, 405, 413]
--- response_headers eval
[("Access-Control-Allow-Origin: *") x 8]



=== TEST 4: *: on 415
--- http_config eval: $::Http
--- config eval: "chat_cors *;" . $::Location
--- request
POST /messages
{"content":"a"}
--- more_headers
Content-Type: text/plain
Origin: https://app.example.com
--- error_code: 415
--- response_headers
Access-Control-Allow-Origin: *



=== TEST 5: *: preflight
--- http_config eval: $::Http
--- config eval: "chat_cors *;" . $::Location
--- request
OPTIONS /messages
--- more_headers
Origin: https://app.example.com
Access-Control-Request-Method: POST
Access-Control-Request-Headers: content-type, x-socket-id
--- error_code: 204
--- response_headers
Access-Control-Allow-Origin: *
--- response_headers_like
Access-Control-Allow-Methods: (?=.*\bGET\b)(?=.*\bPOST\b)[A-Z, ]+
Access-Control-Allow-Headers: (?i)(?=.*\bcontent-type\b)(?=.*\bx-socket-id\b).*
--- response_body_like: ^$



=== TEST 6: scripts may read Link and Chat-Epoch
--- http_config eval: $::Http
--- config eval: "chat_cors *;" . $::Location
--- request
GET /messages
--- more_headers
Origin: https://app.example.com
--- response_headers_like
Access-Control-Expose-Headers: (?i)(?=.*\blink\b)(?=.*\bchat-epoch\b).*



=== TEST 7: a list: one of it
--- http_config eval: $::Http
--- config eval
"chat_cors https://app.example.com http://localhost:4200;" . $::Location
--- request eval
["GET /messages", "POST /messages\n{\"content\":\"a\"}", "POST /messages\n{}",
 "OPTIONS /messages", "GET /messages"]
--- more_headers eval
["Origin: https://app.example.com",
 ("Content-Type: application/json\nOrigin: http://localhost:4200") x 2,
 "Origin: http://localhost:4200\nAccess-Control-Request-Method: POST",
 "Origin: https://app.example.com"]
--- error_code eval
[200, 201, 422, 204, 200]
--- response_headers eval
["Access-Control-Allow-Origin: https://app.example.com",
 ("Access-Control-Allow-Origin: http://localhost:4200") x 3,
 "Access-Control-Allow-Origin: https://app.example.com"]
--- response_headers_like eval
[("Vary: (?i)(.*, *)?origin(,.*)?") x 5]



=== TEST 8: a list: others get nothing, and Vary
--- http_config eval: $::Http
--- config eval
"chat_cors https://app.example.com http://localhost:4200;" . $::Location
--- request eval
[("GET /messages") x 6]
--- more_headers eval
["Origin: https://evil.com", "Origin: https://app.example.com.evil.com",
 "Origin: http://app.example.com", "Origin: http://localhost:42000",
 "Origin: null", "X: y"]
--- error_code eval
[(200) x 6]
--- response_headers eval
[("!Access-Control-Allow-Origin") x 6]
--- response_headers_like eval
[("Vary: (?i)(.*, *)?origin(,.*)?") x 6]



=== TEST 9: a list: the preflight of others allows nothing
--- http_config eval: $::Http
--- config eval
"chat_cors https://app.example.com;" . $::Location
--- request
OPTIONS /messages
--- more_headers
Origin: https://evil.com
Access-Control-Request-Method: POST
--- error_code_like: ^(204|403)$
--- response_headers
!Access-Control-Allow-Origin



=== TEST 10: inherited, and off again
--- http_config eval: $::Http . "chat_cors *;"
--- config
    location = /inherited { chat_history chat; }
    location = /off       { chat_cors off; chat_history chat; }
    location = /own       { chat_cors https://a.example; chat_history chat; }
--- request eval
["GET /inherited", "GET /off", "GET /own"]
--- more_headers
Origin: https://a.example
--- error_code eval
[200, 200, 200]
--- response_headers eval
["Access-Control-Allow-Origin: *", "!Access-Control-Allow-Origin",
 "Access-Control-Allow-Origin: https://a.example"]



=== TEST 11: other locations are left alone
--- http_config eval: $::Http . "chat_cors *;"
--- config
    location = /plain { return 200 "plain"; }
--- request
GET /plain
--- more_headers
Origin: https://a.example
--- response_headers
!Access-Control-Allow-Origin
--- response_body chop
plain



=== TEST 12: nginx's own refusals
--- http_config eval: $::Http
--- config
    location = /messages {
        deny all;
        chat_cors *;
        chat_history chat;
    }
--- request
GET /messages
--- more_headers
Origin: https://a.example
--- error_code: 403
--- response_headers
Access-Control-Allow-Origin: *



=== TEST 13: credentials: on every answer to an origin of the list
--- http_config eval: $::Http
--- config eval
"chat_cors https://app.example.com credentials http://localhost:4200;"
. $::Location
--- request eval
["GET /messages", "HEAD /messages", "POST /messages\n{\"content\":\"a\"}",
 "POST /messages\n{}", "POST /messages\nx", "DELETE /messages",
 "POST /messages\n{\"content\":\"" . "x" x 100 . "\"}"]
--- more_headers
Content-Type: application/json
Origin: http://localhost:4200
--- error_code eval
[200, 200, 201, 422, 400, 405, 413]
--- response_headers eval
[("Access-Control-Allow-Credentials: true
Access-Control-Allow-Origin: http://localhost:4200
Vary: Origin") x 7]
--- raw_response_headers_unlike eval
[(qr/:[^\n]*\*/) x 7]



=== TEST 14: credentials: preflight; "*" is a name like any other then
--- http_config eval: $::Http
--- config eval
"chat_cors credentials https://app.example.com;" . $::Location
--- request
OPTIONS /messages
--- more_headers
Origin: https://app.example.com
Access-Control-Request-Method: POST
Access-Control-Request-Headers: authorization,content-type
--- error_code: 204
--- response_headers
Access-Control-Allow-Credentials: true
Access-Control-Allow-Origin: https://app.example.com
Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS
Access-Control-Allow-Headers: authorization,content-type
Access-Control-Expose-Headers: Link, Chat-Epoch, Retry-After
Vary: Origin



=== TEST 15: credentials: others get nothing
--- http_config eval: $::Http
--- config eval
"chat_cors https://*.example.com credentials;" . $::Location
--- request eval
[("GET /messages") x 4, "OPTIONS /messages"]
--- more_headers eval
["Origin: https://example.com", "Origin: http://app.example.com",
 "Origin: null", "X: y",
 "Origin: https://evil.com\nAccess-Control-Request-Method: POST"]
--- error_code eval
[(200) x 4, 204]
--- response_headers eval
[("!Access-Control-Allow-Origin
!Access-Control-Allow-Credentials
Vary: Origin") x 5]



=== TEST 16: credentials: a sub-domain, nginx's own refusals
--- http_config eval: $::Http . "chat_cors https://*.example.com credentials;"
--- config
    location = /messages {
        deny all;
        chat_history chat;
    }
--- request
GET /messages
--- more_headers
Origin: https://app.example.com
--- error_code: 403
--- response_headers
Access-Control-Allow-Credentials: true
Access-Control-Allow-Origin: https://app.example.com
Vary: Origin



=== TEST 17: credentials are of one list
--- http_config eval: $::Http . "chat_cors https://a.example credentials;"
--- config
    location = /inherited { chat_history chat; }
    location = /off       { chat_cors off; chat_history chat; }
    location = /own       { chat_cors https://a.example; chat_history chat; }
    location = /any       { chat_cors *; chat_history chat; }
--- request eval
["GET /inherited", "GET /off", "GET /own", "GET /any"]
--- more_headers
Origin: https://a.example
--- response_headers eval
["Access-Control-Allow-Credentials: true",
 ("!Access-Control-Allow-Credentials") x 3]
--- no_error_log
[alert]
[emerg]
