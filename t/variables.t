# The variables that tell what a request was about, in an access log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::HTTP;
use Chat::Pusher qw(signin);
use Chat::Server qw(APP_ID APP_KEY slurp wait_for);
use Chat::WebSocket;

my $server = Chat::Server->new(
    workers => 1,
    http    => <<'END',
    log_format subject '$request_method|$chat_app|$chat_channel|$chat_event'
                       '|$chat_socket_id|$chat_user_id';
END
    locations => <<'END',
        access_log logs/access.log subject;

        location = /messages {
            chat_history room-$arg_room;
            chat_publish room-$arg_room said;
        }

        location = /auth { chat_auth user_id=ann; }
        location /apps/ { chat_api; }
        location /app/ { chat_websocket; }
        location /kept/app/ { chat_websocket log=close; }
        location = /none { return 204; }
END
)->start;

my $port = $server->port;
my $http = Chat::HTTP->new(port => $port);
my $api = Chat::API->new(port => $port);
my $log = $server->dir . '/logs/access.log';
my $app = APP_ID;
my $seen = 0;


# The log's next line.

sub logs {
    my ($expected, $name) = @_;

    my @lines;

    wait_for(5, sub { @lines = split /\n/, slurp($log); @lines > $seen });

    is($lines[$seen++], $expected, $name);
}


$http->post('/messages?room=1', { content => 'a', socket_id => '1.23' });
logs("POST|$app|room-1|said|1.23|-", 'a message');

$http->get('/messages?room=2');
logs("GET|$app|room-2|-|-|-", 'history');

$http->post('/auth', { socket_id => '4.5', channel_name => 'presence-x' });
logs("POST|$app|presence-x|-|4.5|ann", 'chat_auth');

$http->post('/auth', { socket_id => '4.5', channel_name => 'open' });
logs('POST|-|open|-|4.5|-', 'chat_auth that refuses: what was asked for');

$api->trigger({ name => 'e', channels => ['a'], data => '',
                socket_id => '6.7' });
logs("POST|$app|a|e|6.7|-", 'a trigger');

$api->trigger({ name => 'e', channels => ['a', 'b'], data => '' });
logs("POST|$app|-|e|-|-", 'one of two channels');

$api->batch([map { { name => 'e', channel => $_, data => '' } } 'a', 'b']);
logs("POST|$app|-|-|-|-", 'a batch');

$api->get('channels/presence-x/users');
logs("GET|$app|presence-x|-|-|-", 'a question');

$api->terminate('bob');
logs("POST|$app|-|-|-|bob", 'terminate_connections');

$http->get('/none');
logs('GET|-|-|-|-|-', 'a location of others');

my $ws = Chat::WebSocket->established(port => $port);
logs("GET|$app|-|-|" . $ws->socket_id . '|-', 'a WebSocket that is open');
$ws->disconnect;

$ws = Chat::WebSocket->established(port => $port,
                                   path => '/kept/app/' . APP_KEY);
signin($ws, { id => 'ann' });
$ws->send_close(1000);
$ws->wait_close;
$ws->disconnect;
logs("GET|$app|-|-|" . $ws->socket_id . '|ann', 'one that is over');

$server->finish;

done_testing();
