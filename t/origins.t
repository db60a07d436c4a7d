# chat_origins: which pages may open a WebSocket.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Server qw(APP_KEY);
use Chat::WebSocket;

my $server = Chat::Server->new(
    server    => 'chat_origins https://inherited.example.com;',
    locations => <<'END')->start;
        location /list/ {
            chat_websocket;
            chat_origins https://app.example.com http://localhost:4200
                         https://*.example.org;
        }

        location /hosts/ {
            chat_websocket;
            chat_origins *.star.example .dot.example host.example
                         port.example:8443;
        }

        location /any/       { chat_websocket; chat_origins *; }
        location /inherited/ { chat_websocket; }
END

my $default = Chat::Server->new->start;


sub status {
    my ($path, $origin, $s) = @_;

    my $ws = Chat::WebSocket->new(
        port    => ($s || $server)->port,
        path    => "$path/app/" . APP_KEY . '?protocol=7',
        headers => [ defined $origin ? "Origin: $origin" : () ]);

    if ($ws->{status} == 101) {
        my $e = $ws->next_event;
        is($e->{event}, 'pusher:connection_established', 'established');

    } else {
        is($ws->header('Upgrade'), undef, 'refused before the upgrade');
    }

    return $ws->{status};
}


for ('https://app.example.com', 'http://localhost:4200',
     'https://a.example.org', 'https://a.b.example.org',
     'HTTPS://App.Example.COM')
{
    is(status('/list', $_), 101, "$_: may");
}

for ('http://app.example.com', 'https://app.example.com:8443',
     'https://app.example.com.evil.com', 'https://evilapp.example.com',
     'https://example.org', 'https://aexample.org', 'https://.example.org',
     'http://a.example.org', 'https://a.example.org.evil.com',
     'https://evil.com/a.example.org', 'https://evil.com#.example.org',
     'http://localhost', 'http://localhost:42000', 'null', 'x',
     'https://app.example.com, https://evil.com')
{
    is(status('/list', $_), 403, "$_: may not");
}

# without a scheme, as in server_name: any scheme; without a port: any port
for ('https://a.star.example', 'http://a.b.star.example:81',
     'https://dot.example', 'https://a.dot.example', 'http://host.example',
     'https://host.example:444', 'http://port.example:8443')
{
    is(status('/hosts', $_), 101, "$_: may");
}

for ('https://star.example', 'https://adot.example', 'https://a.host.example',
     'http://port.example', 'http://port.example:8444', 'host.example')
{
    is(status('/hosts', $_), 403, "$_: may not");
}

is(status('/any', $_), 101, "$_: any may with *")
    for 'https://evil.com', 'null';
is(status('/any', undef), 101, 'no Origin with *');

is(status('/inherited', 'https://inherited.example.com'), 101,
   'inherited from the server');
is(status('/inherited', 'https://app.example.com'), 403,
   'inherited from the server: others may not');
is(status('/list', 'https://inherited.example.com'), 403,
   'a list of its own replaces the inherited one');

is(status('', $_, $default), 101, "$_: any may by default")
    for 'https://evil.com', 'http://127.0.0.1:8080';

# no browser, no Origin: there is no page whose user could be harmed
is(status('/list', undef), 101, 'clients that are no browsers may');

# What pages without an origin, apps and extensions send, each by itself; an
# entry matches it or is refused.

my %sends = (
    'null'                        => [ 'null' ],
    'NULL'                        => [ 'null' ],
    'file://'                     => [ 'file://' ],
    'capacitor://localhost'       => [ 'capacitor://localhost' ],
    'Ionic://LocalHost'           => [ 'ionic://localhost' ],
    'tauri://localhost'           => [ 'tauri://localhost' ],
    'https://tauri.localhost'     => [ 'https://tauri.localhost' ],
    'app://.'                     => [ 'app://.' ],
    'localhost'                   => [ 'capacitor://localhost',
                                       'http://localhost:4200' ],
    'chrome-extension://abcdefghijklmnopabcdefghijklmnop' =>
        [ 'chrome-extension://abcdefghijklmnopabcdefghijklmnop' ],
    'moz-extension://0f1e2d3c-0000-4000-8000-000000000001' =>
        [ 'moz-extension://0f1e2d3c-0000-4000-8000-000000000001' ],
    'safari-web-extension://0F1E2D3C-0000-4000-8000-00000000000A' =>
        [ 'safari-web-extension://0F1E2D3C-0000-4000-8000-00000000000A',
          'safari-web-extension://0f1e2d3c-0000-4000-8000-00000000000a' ],
    'https://port.example:443'    => [ 'https://port.example' ],
    'http://port.example:80'      => [ 'http://port.example' ],
    'port.example:443'            => [ 'https://port.example' ],
    'http://port.example:*'       => [ 'http://port.example',
                                       'http://port.example:81' ],
    'localhost:*'                 => [ 'http://localhost:4200' ],
    'http://127.0.0.1:8080'       => [ 'http://127.0.0.1:8080' ],
    'http://[::1]:8080'           => [ 'http://[::1]:8080' ],
    'HTTPS://Case.Example'        => [ 'https://case.example' ],
    'https://xn--bcher-kva.example' => [ 'https://xn--bcher-kva.example' ],
);

my @entries = sort keys %sends;
my $apps = Chat::Server->new(locations => join '', map { <<"END" }
        location /$_/app/ { chat_websocket; chat_origins $entries[$_]; }
END
    0 .. $#entries)->start;

for my $i (0 .. $#entries) {
    my $entry = $entries[$i];
    my %may = map { $_ => 1 } @{ $sends{$entry} };

    is(status("/$i", $_, $apps), 101, "$entry: $_ may") for sort keys %may;

    is(status("/$i", $_, $apps), 403, "$entry: $_ may not")
        for grep { !$may{$_} } 'https://evil.example',
            $entry =~ /null/i ? 'https://null' : 'null',
            $entry eq 'file://' ? 'file://x' : 'file://',
            'https://port.example:8443', 'null.example', '';
}

$apps->finish;

my %refused = (
    'https://a.example/'         => qr{write it without "/"},
    'https://a.example:8443/'    => qr{write it without "/"},
    'https://a.example/page'     => qr{write it without "/"},
    'a.example/'                 => qr{write it without "/"},
    'https://a.example,https://b.example' => qr/./,
    'a.example,b.example'        => qr/spaces between/,
    'wss://a.example'            => qr{write "https://"},
    'ws://a.example'             => qr{write "https://"},
    'capacitor://'               => qr/a host must follow/,
    'https://'                   => qr/a host must follow/,
    'file:///index.html'         => qr{only "file://"},
    'https://a.example:'         => qr/a port is a number/,
    'https://a.example:0'        => qr/a port is a number/,
    'https://a.example:0443'     => qr/a port is a number/,
    'https://a.example:65536'    => qr/a port is a number/,
    'data:text'                  => qr/a port is a number/,
    'https://::1'                => qr/in brackets/,
    '[::1'                       => qr/in brackets/,
    'http://[0:0:0:0:0:0:0:1]'   => qr/write an address as browsers do/,
    'http://127.1'               => qr/write an address as browsers do/,
    'http://127.0.0.01'          => qr/write an address as browsers do/,
    "https://b\xc3\xbccher.example" => qr/"xn--/,
    'https://*'                  => qr/it must be like/,
    'https://app-*.example'      => qr/it must be like/,
    'https://user@a.example'     => qr/it must be like/,
    '"https://a.example b"'      => qr/it must be like/,
    '""'                         => qr/a host must follow/,
);

for my $entry (sort keys %refused) {
    for my $directive ('chat_origins', 'chat_cors') {
        my $bad = Chat::Server->new(locations => <<"END");
        location = /messages { chat_history chat; $directive $entry; }
END
        my ($code, $out) = $bad->check_conf;

        is($code, 1, "$directive $entry: refused");
        like($out, qr/invalid origin .*"$directive", .*$refused{$entry}/,
             "$directive $entry: with what to write");
    }
}

# Of "credentials": what is refused in a list of chat_cors, and what is not.

my $narrow = qr/"credentials" in "chat_cors" are for the origins of your pages/;
my $word = qr/in "chat_cors", write "credentials", once and without a value/;

my %wide = (
    'chat_cors * credentials'             => qr/$narrow.* with "\*" every site/,
    'chat_cors credentials *'             => qr/$narrow.* with "\*" every site/,
    'chat_cors https://a.example * credentials' => qr/$narrow/,
    'chat_cors https://a.example null credentials' =>
                                    qr/$narrow.* pages that send "null"/,
    'chat_cors *.com credentials'         => qr/$narrow.* top-level domain/,
    'chat_cors https://.com credentials'  => qr/$narrow.* top-level domain/,
    'chat_cors credentials'               => qr/$narrow only, list them/,
    'chat_cors https://a.example credentials credentials'     => $word,
    'chat_cors https://a.example credentials=on'              => $word,
    'chat_cors https://a.example credentials=true'            => $word,
    'chat_cors off credentials'           => qr/"off" in .* must stand alone/,
    'chat_origins https://a.example credentials' =>
        qr/"credentials" is not for "chat_origins", browsers send cookies/,
);

for my $directive (sort keys %wide) {
    my $bad = Chat::Server->new(locations => <<"END");
        location = /messages { chat_history chat; $directive; }
END
    my ($code, $out) = $bad->check_conf;

    is($code, 1, "$directive: refused");
    like($out, qr/\[emerg\].*$wide{$directive}.* in .*:\d+/,
         "$directive: with why, what to write, and where");
}

for ('https://app.example.com credentials', 'credentials a.example b.example',
     'https://a.example Credentials https://a.example',
     'https://*.example.com:* .example.org http://localhost:* credentials',
     'https://credentials', 'null', '*.com')
{
    my ($code, $out) = Chat::Server->new(locations => <<"END")->check_conf;
        location = /messages { chat_history chat; chat_cors $_; }
END

    is($code, 0, "chat_cors $_") or diag($out);
}

$_->finish for $server, $default;

done_testing();
