# Ids of apps: words beside numbers.  Each app has its own channels and stored
# messages, and those of numbers stay theirs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256);
use Test::More;

use Chat::API qw(is_ok is_plain);
use Chat::HTTP qw(from_json);
use Chat::Server qw(APP_ID);
use Chat::WebSocket;

my $number = APP_ID;
my $long = 'x' x 64;
my @words = ('app-id', 'App-Id', 'app_id', '7x', '-', $long);
my $last = '9' x 18;


# No two keys are the same in lower case.

sub key    { return 'key_' . unpack 'H*', $_[0] }
sub secret { return 'secret_' . unpack 'H*', $_[0] }


sub locations {
    my (@ids) = @_;

    return "location /app/ { chat_websocket; }\n"
           . "location /apps/ { chat_api; }\n"
           . join '', map { <<"END" } @ids;
        location = /messages/$_ {
            chat_history  chat app=$_;
            chat_publish  chat new_message app=$_;
        }
END
}


sub apps {
    my (@ids) = @_;

    return join '', map { "chat_app $_ { key " . key($_) . '; secret '
                          . secret($_) . "; }\n" } @ids;
}


my $server = Chat::Server->new(workers => 2, http => apps($last),
                               locations => locations($number, $last))->start;

my $http = Chat::HTTP->new(port => $server->port);
my %posted;

for my $id ($number, $last) {
    my $res = $http->post("/messages/$id", { content => "of $id" });

    is($res->{status}, 201, "$id: stored");
    $posted{$id} = $res->{text};
}


subtest 'words beside them' => sub {
    @$server{qw(http locations)} = (apps($last, @words),
                                    locations($number, $last, @words));
    $server->write_conf;
    $server->restart;
    $http = Chat::HTTP->new(port => $server->port);

    my %ws = map { $_ => Chat::WebSocket->established(port => $server->port,
                             path => '/app/' . key($_) . '?protocol=7') } @words;

    $_->subscribe('chat') for values %ws;
    $ws{$_}->subscribe("only-$_") for @words;

    for my $id (@words) {
        my $res = $http->post("/messages/$id", { content => "of $id" });

        is($res->{status}, 201, "$id: stored");
        $posted{$id} = $res->{text};
        is($ws{$id}->next_event->{data}, $res->{text}, "$id: sent");
    }

    for my $id (@words) {
        my $api = Chat::API->new(port => $server->port, app => $id,
                                 key => key($id), secret => secret($id));

        is_ok($api->trigger({ name => 'e', channel => 'chat', data => $id }),
              {}, "$id: a trigger");
        is($ws{$id}->next_event->{data}, $id, "$id: sent");
        is_ok($api->get('channels'),
              { channels => { chat => {}, "only-$id" => {} } },
              "$id: its channels, no other's");

        my $other = Chat::API->new(port => $server->port, app => $id,
                                   key => key($last), secret => secret($last));
        is_plain($other->trigger({ name => 'e', channel => 'chat',
                                   data => 'x' }), 401, qr/\S/,
                 "$id: not by the key of another app");
    }

    is_plain(Chat::API->new(port => $server->port, app => 'app-idx',
                            key => key('app-id'), secret => secret('app-id'))
                 ->get('channels'), 404, qr/Unknown app id/, 'no such app');

    ok($ws{$_}->nothing_waits, "$_: nothing of another app") for @words;
};


subtest 'stored messages stay with their app' => sub {
    for my $restart (0, 1) {
        $server->restart if $restart;
        $http = Chat::HTTP->new(port => $server->port);

        is($http->get("/messages/$_")->{text}, "[$posted{$_}]",
           "$_, restarts: $restart") for $number, $last, @words;
    }

    # the number is that of sql/README.md, in every version

    my $database = $server->database;
    my %want = map { my $n = unpack('Q>', sha256($_)) >> 2;
                     ($_ => (1 << 62) + $n) } @words;
    @want{$number, $last} = ($number, $last);

    my %got = map { split /\|/ }
              split /\n/, `sqlite3 $database 'SELECT substr(content, 4), app FROM messages'`;

    is_deeply(\%got, \%want, 'the numbers');
};


$server->finish;


for my $bad ('a.b', 'a/b', 'a%2Db', '"a b"', '""', "\xc3\xa9", 'x' x 65, '0',
             '007', '1' x 19)
{
    my $s = Chat::Server->new(http => "chat_app $bad { key k; secret s; }",
                              locations => '');
    my ($code, $out) = $s->check_conf;

    is($code, 1, "$bad: refused");
    like($out, qr/invalid app id .*it must be a number .*or have 1 to 64 letters/,
         "$bad: with what may be written");
}

my $twice = Chat::Server->new(http => apps('app-id', 'app-id'),
                              locations => '');
my ($code, $out) = $twice->check_conf;
like($out, qr/duplicate chat_app "app-id"/, 'the same twice');

done_testing();
