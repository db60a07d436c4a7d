# GET and POST of messages: every row of the table of answers, arguments,
# headers, forms, keep-alive.  Each block has a server and a database of its
# own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Chat::Nginx;
use Test::Nginx::Socket 'no_plan';

Chat::Nginx::setup(workers => 2);

our $Time = qr/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;


# A message's JSON text, as a pattern.

sub message {
    my ($id, $content, $author) = @_;

    $author = defined $author ? ",\"author\":\"\Q$author\E\"" : '';

    return qr/\{"id":$id,"content":"\Q$content\E"$author,"created_at":"$Time","updated_at":"$Time"\}/;
}


sub whole { my $re = shift; return qr/\A$re\z/ }


sub page { return whole('\[' . join(',', map { message(@$_) } @_) . '\]') }


our $Http = http_config();

our $TwoApps = http_config()
               . "chat_app 2 { key second; secret second-secret; }\n";

our $Config = <<'END';
    location = /messages {
        chat_history  chat;
        chat_publish  chat new_message;
    }
END

our $Posts = [ map { "POST /messages\n{\"content\":\"m$_\"}" } 1 .. 5 ];

run_tests();

__DATA__

=== TEST 1: POST: 201 and the message
--- http_config eval: $::Http
--- config eval: $::Config
--- request
POST /messages
{"content":"hello"}
--- more_headers
Content-Type: application/json
--- error_code: 201
--- response_headers_like
Content-Type: application/json.*
--- response_body_like eval: main::whole(main::message(1, "hello"))



=== TEST 2: GET: an empty array at first
--- http_config eval: $::Http
--- config eval: $::Config
--- request
GET /messages
--- error_code: 200
--- response_headers
Cache-Control: no-store
!Link
--- response_headers_like
Content-Type: application/json.*
Chat-Epoch: [0-9a-f]{32}
--- response_body chop
[]



=== TEST 3: GET: what was posted, oldest first
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
[@$::Posts, "GET /messages"]
--- more_headers
Content-Type: application/json
--- error_code eval
[201, 201, 201, 201, 201, 200]
--- response_body_like eval
[(map { main::whole(main::message($_, "m$_")) } 1 .. 5),
 main::page(map { [$_, "m$_"] } 1 .. 5)]



=== TEST 4: GET: limit, after, before
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
[@$::Posts, "GET /messages?limit=2", "GET /messages?after=2",
 "GET /messages?after_id=2&limit=2", "GET /messages?before=4",
 "GET /messages?before_id=4&limit=2", "GET /messages?after=5",
 "GET /messages?before=1", "GET /messages?after=0&limit=1",
 "GET /messages?before=9223372036854775807&limit=1",
 "GET /messages?after=9223372036854775807", "GET /messages?before=0",
 "GET /messages?unknown=1&limit=1000"]
--- more_headers
Content-Type: application/json
--- error_code eval
[(201) x 5, (200) x 12]
--- response_body_like eval
[(qr/^\{/) x 5,
 main::page([4, "m4"], [5, "m5"]),
 main::page(map { [$_, "m$_"] } 3 .. 5),
 main::page(map { [$_, "m$_"] } 3 .. 4),
 main::page(map { [$_, "m$_"] } 1 .. 3),
 main::page(map { [$_, "m$_"] } 2 .. 3),
 main::page(), main::page(),
 main::page([1, "m1"]), main::page([5, "m5"]), main::page(), main::page(),
 main::page(map { [$_, "m$_"] } 1 .. 5)]



=== TEST 5: GET: Link where there is more before
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
[@$::Posts, "GET /messages?limit=2", "GET /messages?limit=2&before=3",
 "GET /messages?limit=5"]
--- more_headers
Content-Type: application/json
--- error_code eval
[(201) x 5, (200) x 3]
--- response_headers_like eval
[("Content-Type: application/json.*") x 5,
 'Link: </messages\?limit=2&before=4>; rel="prev"',
 'Link: </messages\?limit=2&after=2>; rel="next"',
 "Content-Type: application/json.*"]
--- response_headers eval
[("!Link") x 5, "Cache-Control: no-store", "Cache-Control: no-store", "!Link"]



=== TEST 6: GET: Link to both sides, other arguments are kept
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
[@$::Posts, "GET /messages?x=a%20b&limit=1&after=2&y",
 "GET /messages?limit=2&after=3", "GET /messages?after=1&limit=9"]
--- more_headers
Content-Type: application/json
--- error_code eval
[(201) x 5, (200) x 3]
--- response_headers_like eval
[("Content-Type: application/json.*") x 5,
 '(?=.*</messages\?(?=[^>]*\bx=a%20b\b)(?=[^>]*\blimit=1\b)(?=[^>]*\by\b)(?![^>]*\bafter=)[^>]*\bbefore=3\b[^>]*>; rel="prev")(?=.*</messages\?(?=[^>]*\bx=a%20b\b)(?=[^>]*\blimit=1\b)(?=[^>]*\by\b)(?![^>]*\bafter=2)(?![^>]*\bbefore=)[^>]*\bafter=3\b[^>]*>; rel="next").*'
     =~ s/^/Link: /r,
 'Link: (?!.*rel="next").*</messages\?[^>]*\bbefore=4\b[^>]*>; rel="prev".*',
 'Link: (?!.*rel="next").*</messages\?[^>]*\bbefore=2\b[^>]*>; rel="prev".*']



=== TEST 7: GET: limits of the directive
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_history  chat limit=2 max=3;
        chat_publish  chat new_message;
    }
--- request eval
[@$::Posts, "GET /messages", "GET /messages?limit=3", "GET /messages?limit=4",
 "GET /messages?limit=0", "GET /messages?limit=x", "GET /messages?after=-1",
 "GET /messages?before=x", "GET /messages?after=1&before=3",
 "GET /messages?after=9223372036854775808"]
--- more_headers
Content-Type: application/json
--- error_code eval
[(201) x 5, 200, 200, (400) x 7]
--- response_headers_like eval
[("Content-Type: application/json.*") x 14]
--- response_body_like eval
[(qr/^\{/) x 5, main::page([4, "m4"], [5, "m5"]),
 main::page(map { [$_, "m$_"] } 3 .. 5),
 (qr/\A\{"error":"[^"]+"\}\z/) x 7]



=== TEST 8: GET: by default 100, at most 1000
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
[(map { "POST /messages\n{\"content\":\"m$_\"}" } 1 .. 101),
 "GET /messages", "GET /messages?limit=101", "GET /messages?limit=1000",
 "GET /messages?limit=1001"]
--- more_headers
Content-Type: application/json
--- error_code eval
[(201) x 101, 200, 200, 200, 400]
--- response_body_like eval
[(qr/^\{/) x 101,
 main::page(map { [$_, "m$_"] } 2 .. 101),
 (main::page(map { [$_, "m$_"] } 1 .. 101)) x 2,
 qr/\A\{"error":"[^"]+"\}\z/]



=== TEST 9: HEAD: the headers of GET, no body
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
[@$::Posts, "HEAD /messages?limit=2"]
--- more_headers
Content-Type: application/json
--- error_code eval
[(201) x 5, 200]
--- response_headers_like eval
[("Content-Type: application/json.*") x 5,
 "Chat-Epoch: [0-9a-f]{32}\nContent-Type: application/json.*\nCache-Control: no-store\nLink: .*rel=\"prev\".*"]
--- response_body_like eval
[(qr/^\{/) x 5, qr/\A\z/]



=== TEST 10: other methods: 405 with Allow
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
["PUT /messages\n{}", "DELETE /messages", "PATCH /messages\n{}",
 "OPTIONS /messages"]
--- error_code eval
[405, 405, 405, 405]
--- response_headers_like eval
[("Allow: (?=.*\\bGET\\b)(?=.*\\bHEAD\\b)(?=.*\\bPOST\\b)[A-Z, ]+") x 4]



=== TEST 11: history alone takes no POST
--- http_config eval: $::Http
--- config
    location = /messages { chat_history chat; }
--- request
POST /messages
{"content":"hello"}
--- more_headers
Content-Type: application/json
--- error_code: 405
--- response_headers_like
Allow: (?!.*POST)(?=.*\bGET\b)(?=.*\bHEAD\b)[A-Z, ]+



=== TEST 12: publish alone takes no GET
--- http_config eval: $::Http
--- config
    location = /messages { chat_publish chat new_message; }
--- request eval
["GET /messages", "HEAD /messages"]
--- error_code eval
[405, 405]
--- response_headers_like eval
[("Allow: (?!.*GET)(?=.*\\bPOST\\b)[A-Z, ]+") x 2]



=== TEST 13: POST: 400 for what is no JSON object
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
[(map { "POST /messages\n$_" } '{"content":', '[]', '"content"', 'x'),
 "GET /messages"]
--- more_headers
Content-Type: application/json
--- error_code eval
[400, 400, 400, 400, 200]
--- response_body_like eval
[(qr/\A\{"error":"[^"]+"\}\z/) x 4, qr/\A\[\]\z/]



=== TEST 14: POST: 415 for other content types
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
[("POST /messages\n{\"content\":\"hello\"}") x 6, "GET /messages"]
--- more_headers eval
["Content-Type: text/plain", "Content-Type: application/jsonx", "X: y",
 "Content-Type: multipart/form-data; boundary=x", "Content-Type: json",
 "Content-Type: application/x-www-form-urlencodedx", "X: y"]
--- error_code eval
[(415) x 6, 200]
--- response_body_like eval
[(qr/./) x 6, qr/\A\[\]\z/]



=== TEST 15: POST: content types that are right
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
[("POST /messages\n{\"content\":\"hello\"}") x 5]
--- more_headers eval
["Content-Type: application/json", "Content-Type: application/json; charset=utf-8",
 "Content-Type: application/json;charset=UTF-8", "Content-Type: Application/JSON",
 "Content-Type: application/json ; charset=\"utf-8\""]
--- error_code eval
[(201) x 5]



=== TEST 16: POST: 422 for a blank content
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
[(map { "POST /messages\n$_" } '{}', '{"content":null}', '{"content":""}',
  '{"content":" \t\n\r"}', '{"content":"\u00a0\u3000\u2003"}',
  '{"content":1}', '{"content":true}', '{"content":["a"]}',
  '{"content":{"a":"b"}}', '{"Content":"a"}'), "GET /messages"]
--- more_headers
Content-Type: application/json
--- error_code eval
[(422) x 10, 200]
--- response_headers_like eval
[("Content-Type: application/json.*") x 11]
--- response_body_like eval
[(qr/\A\{"content":\["can't be blank"\]\}\z/) x 10, qr/\A\[\]\z/]



=== TEST 17: POST: 422 for a content that is too long
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
["POST /messages\n{\"content\":\"" . "x" x 10240 . "\"}",
 "POST /messages\n{\"content\":\"" . "x" x 10241 . "\"}",
 "POST /messages\n{\"content\":\"" . "\xe2\x82\xac" x 3413 . "x\"}",
 "POST /messages\n{\"content\":\"" . "\xe2\x82\xac" x 3413 . "xx\"}"]
--- more_headers
Content-Type: application/json
--- error_code eval
[201, 422, 201, 422]
--- response_body_like eval
[qr/^\{"id":1,/, qr/\A\{"content":\["is too long \(maximum is 10240 bytes\)"\]\}\z/,
 qr/^\{"id":2,/, qr/\A\{"content":\["is too long \(maximum is 10240 bytes\)"\]\}\z/]



=== TEST 18: chat_max_message_size in http, server, location
--- http_config eval: $::Http . "chat_max_message_size 4;"
--- config
    location = /inherited { chat_publish chat new_message; }
    location = /own {
        chat_max_message_size 6;
        chat_publish chat new_message;
    }
--- request eval
[map { ("POST /inherited\n{\"content\":\"$_\"}", "POST /own\n{\"content\":\"$_\"}") }
 "1234", "12345", "1234567"]
--- more_headers
Content-Type: application/json
--- error_code eval
[201, 201, 422, 201, 422, 422]
--- response_body_like eval
[qr/"1234"/, qr/"1234"/, qr/maximum is 4 bytes/, qr/"12345"/,
 qr/maximum is 4 bytes/, qr/maximum is 6 bytes/]



=== TEST 19: POST: 413 beyond client_max_body_size
--- http_config eval: $::Http
--- config
    location = /messages {
        client_max_body_size 100;
        chat_publish chat new_message;
    }
--- request eval
"POST /messages\n{\"content\":\"" . "x" x 100 . "\"}"
--- more_headers
Content-Type: application/json
--- error_code: 413
--- no_error_log
[alert]
[emerg]
[crit]



=== TEST 20: POST: unknown members, doubled members
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
["POST /messages\n{\"id\":99,\"a\":[{\"b\":null}],\"content\":\"one\",\"created_at\":1,\"author\":\"me\"}",
 "POST /messages\n{\"content\":\"first\",\"content\":\"last\"}"]
--- more_headers
Content-Type: application/json
--- error_code eval
[201, 201]
--- response_body_like eval
[main::whole(main::message(1, "one")), main::whole(main::message(2, "last"))]



=== TEST 21: POST: a form
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
["POST /messages\ncontent=hello+world%21%20%C3%A4%26%3D%2B",
 "POST /messages\nx=1&content=a=b&y=2", "POST /messages\ncontent=",
 "POST /messages\nx=1", "POST /messages\ncontent=%ff",
 "POST /messages\ncontent=" . "x" x 10241]
--- more_headers
Content-Type: application/x-www-form-urlencoded
--- error_code eval
[201, 201, 422, 422, 400, 422]
--- response_body_like eval
[main::whole(main::message(1, "hello world! \xc3\xa4&=+")),
 main::whole(main::message(2, "a=b")),
 (qr/\A\{"content":\["can't be blank"\]\}\z/) x 2,
 qr/\A\{"error":"[^"]+"\}\z/, qr/maximum is 10240 bytes/]



=== TEST 22: POST: a form with charset
--- http_config eval: $::Http
--- config eval: $::Config
--- request
POST /messages
content=hello
--- more_headers
Content-Type: application/x-www-form-urlencoded; charset=UTF-8
--- error_code: 201
--- response_body_like eval: main::whole(main::message(1, "hello"))



=== TEST 23: characters
--- http_config eval: $::Http
--- config eval: $::Config
--- request eval
["POST /messages\n{\"content\":\"\xf0\x9f\x98\x80 \\ud83d\\ude00 \\u20ac \\\" \\\\ \\/ \\n </script>\"}",
 "GET /messages"]
--- more_headers
Content-Type: application/json
--- error_code eval
[201, 200]
--- response_body_like eval
[(qr/"content":"\xf0\x9f\x98\x80 \xf0\x9f\x98\x80 \xe2\x82\xac \\" \\\\ \\?\/ \\n <\\?\/script>"/) x 2]



=== TEST 24: chat_author
--- http_config eval: $::Http
--- config
    chat_author $http_x_user;
    location = /messages {
        chat_history chat;
        chat_publish chat new_message;
    }
    location = /fixed {
        chat_author "The \"System\"";
        chat_publish chat new_message;
    }
    location = /none {
        chat_author "";
        chat_publish chat new_message;
    }
--- request eval
["POST /messages\n{\"content\":\"a\"}", "POST /messages\n{\"content\":\"b\"}",
 "POST /fixed\n{\"content\":\"c\"}", "POST /none\n{\"content\":\"d\"}",
 "GET /messages"]
--- more_headers eval
["Content-Type: application/json\nX-User: Ann",
 "Content-Type: application/json",
 ("Content-Type: application/json\nX-User: Ann") x 3]
--- error_code eval
[201, 201, 201, 201, 200]
--- response_body_like eval
[main::whole(main::message(1, "a", "Ann")), main::whole(main::message(2, "b")),
 main::whole(main::message(3, "c", 'The \\"System\\"')),
 main::whole(main::message(4, "d")),
 main::page([1, "a", "Ann"], [2, "b"], [3, "c", 'The \\"System\\"'], [4, "d"])]



=== TEST 25: variables: rooms are apart, ids are common
--- http_config eval: $::Http
--- config
    location = /messages {
        chat_history room-$arg_room;
        chat_publish room-$arg_room new_message;
    }
    location ~ ^/rooms/(?<room>[^/]+)$ {
        chat_history room-$room;
        chat_publish room-$room new_message;
    }
--- request eval
["POST /messages?room=1\n{\"content\":\"a\"}",
 "POST /rooms/2\n{\"content\":\"b\"}",
 "POST /rooms/1\n{\"content\":\"c\"}",
 "GET /rooms/1", "GET /messages?room=2", "GET /messages?room=3",
 "GET /messages?room=1&limit=1", "GET /messages?room=a:b",
 "POST /rooms/a b\n{\"content\":\"d\"}" =~ s/a b/a%20b/r,
 "GET /rooms/" . "x" x 196]
--- more_headers
Content-Type: application/json
--- error_code eval
[201, 201, 201, 200, 200, 200, 200, 400, 400, 400]
--- response_body_like eval
[main::whole(main::message(1, "a")), main::whole(main::message(2, "b")),
 main::whole(main::message(3, "c")),
 main::page([1, "a"], [3, "c"]), main::page([2, "b"]), main::page(),
 main::page([3, "c"]), (qr/\A\{"error":"[^"]+"\}\z/) x 3]



=== TEST 26: two apps
--- http_config eval: $::TwoApps
--- config
    location = /one {
        chat_history chat app=17536051;
        chat_publish chat new_message app=17536051;
    }
    location = /two {
        chat_history chat app=2;
        chat_publish chat new_message app=2;
    }
--- request eval
["POST /one\n{\"content\":\"a\"}", "POST /two\n{\"content\":\"b\"}",
 "GET /one", "GET /two"]
--- more_headers
Content-Type: application/json
--- error_code eval
[201, 201, 200, 200]
--- response_body_like eval
[main::whole(main::message(1, "a")), main::whole(main::message(2, "b")),
 main::page([1, "a"]), main::page([2, "b"])]



=== TEST 27: pipelining
--- http_config eval: $::Http
--- config eval: $::Config
--- pipelined_requests eval
[@$::Posts, "GET /messages", "GET /messages?limit=1", "DELETE /messages",
 "POST /messages\n{}", "GET /messages?after=4"]
--- more_headers
Content-Type: application/json
--- error_code eval
[(201) x 5, 200, 200, 405, 422, 200]
--- response_body_like eval
[(map { main::whole(main::message($_, "m$_")) } 1 .. 5),
 main::page(map { [$_, "m$_"] } 1 .. 5), main::page([5, "m5"]), qr//,
 qr/can't be blank/, main::page([5, "m5"])]



=== TEST 28: a body in pieces
--- http_config eval: $::Http
--- config eval: $::Config
--- raw_request eval
["POST /messages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n",
 "{\"cont", "ent\"", ":", "\"hel", "lo", "\"", "}"]
--- raw_request_middle_delay: 0.02
--- error_code: 201
--- response_body_like eval: main::whole(main::message(1, "hello"))



=== TEST 29: a chunked body
--- http_config eval: $::Http
--- config eval: $::Config
--- raw_request eval
"POST /messages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
. "6\r\n{\"cont\r\n1\r\ne\r\nc\r\nnt\":\"hello\"}\r\n0\r\n\r\n"
--- error_code: 201
--- response_body_like eval: main::whole(main::message(1, "hello"))



=== TEST 30: a body larger than client_body_buffer_size
--- http_config eval: $::Http
--- config
    client_body_buffer_size 1k;
    location = /messages {
        chat_history  chat;
        chat_publish  chat new_message;
    }
--- request eval
["POST /messages\n{\"content\":\"" . "y" x 9000 . "\"}", "GET /messages"]
--- more_headers
Content-Type: application/json
--- error_code eval
[201, 200]
--- response_body_like eval
[main::whole(main::message(1, "y" x 9000)), main::page([1, "y" x 9000])]



=== TEST 31: nginx's own rules apply
--- http_config eval: $::Http . 'limit_req_zone $binary_remote_addr zone=one:1m rate=1r/m;'
--- config
    location = /denied {
        deny all;
        chat_history chat;
        chat_publish chat new_message;
    }
    location = /limited {
        limit_req zone=one;
        limit_req_status 429;
        chat_history chat;
    }
    location = /auth {
        auth_request /no;
        chat_publish chat new_message;
    }
    location = /no { internal; return 403; }
--- request eval
["GET /denied", "POST /denied\n{\"content\":\"a\"}", "GET /limited",
 "GET /limited", "POST /auth\n{\"content\":\"a\"}"]
--- more_headers
Content-Type: application/json
--- error_code eval
[403, 403, 200, 429, 403]
--- no_error_log
[alert]
[emerg]
[crit]
