# chat_retention: the oldest messages go, in the background; what stays, stays
# whole, and a client that comes back with an id that has gone gets the oldest
# there is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Locker;
use Chat::Server qw(wait_for);
use Chat::WebSocket;

use constant BACKLOG => 60_000;

my $locations = <<'END';
        location ~ ^/rooms/([a-z0-9]+)$ {
            chat_history  $1 max=10000;
            chat_publish  $1 new_message;
        }

        location /app/ { chat_websocket; }
END

my $server = Chat::Server->new(workers => 2, locations => $locations,
                               http => 'chat_retention count=20;')->start;
my $http = Chat::HTTP->new(port => $server->port);
my $last = 0;


sub post {
    my ($room, $content) = @_;

    my $res = $http->post("/rooms/$room", { content => $content });

    die "POST: $res->{status}" unless $res->{status} == 201;

    my $id = from_json($res->{body})->{id};

    die "id $id after $last" unless $id > $last;
    $last = $id;

    return $id;
}


sub ids {
    my ($path) = @_;

    my $res = $http->get($path);

    die "GET: $res->{status}" unless $res->{status} == 200;

    return map { $_->{id} } @{ from_json($res->{body}) };
}


# Waits until the room has no other ids than these; is($got, $expected)'s two.

sub becomes {
    my ($room, @ids) = @_;

    my @got;

    wait_for(15, sub {
        @got = ids("/rooms/$room?after=0&limit=10000");
        return "@got" eq "@ids";
    });

    return ("@got", "@ids");
}


# Another configuration, and a connection that no old worker has accepted.

sub reload {
    my ($http_conf) = @_;

    $server->write_conf(http => $http_conf);
    $server->reload;
    wait_for(15, sub { $server->all_worker_pids == 2 })
        or die 'the old workers stay';
    $http = Chat::HTTP->new(port => $server->port);
}


sub sql {
    my ($sql) = @_;

    my $locker = Chat::Locker->new($server->database);
    my $text = $locker->run(".timeout 30000\n$sql");

    $locker->finish;
    chomp $text;

    return $text;
}


subtest 'a number of messages in each channel' => sub {
    my (@a, @b);

    for my $n (1 .. 70) {
        push @a, post('a', "a $n");
        push @b, post('b', "b $n") if $n <= 15;
    }

    is_deeply([ becomes('a', @a[-20 .. -1]) ]->[0], "@a[-20 .. -1]",
              'the newest 20 stay');
    is("@{[ ids('/rooms/b?after=0') ]}", "@b", 'of fewer, all');

    my $res = $http->get("/rooms/a?after=$a[3]&limit=5");

    is("@{[ map { $_->{id} } @{ from_json($res->{body}) } ]}",
       "@a[50 .. 54]", 'after one that has gone: the oldest there is');
    is($res->{headers}{link},
       qq{</rooms/a?limit=5&after=$a[54]>; rel="next"},
       'from which Link leads on, and not back');

    $res = $http->get("/rooms/a?before=$a[50]");
    is($res->{body}, '[]', 'before the oldest there is nothing');
    is($res->{headers}{link}, undef, 'and no Link');

    # every worker in its turn, so that it was the one which did it
    for my $pid ($server->worker_pids) {
        $server->expect_death($pid);
        $server->expect_log(qr/exited on signal 9/);
        kill 'KILL', $pid;
        wait_for(10, sub {
            my @now = $server->worker_pids;
            return @now == 2 && !grep { $_ == $pid } @now;
        });
        $http = Chat::HTTP->new(port => $server->port);

        push @a, map { post('a', 'more') } 1 .. 25;
        my ($got, $expected) = becomes('a', @a[-20 .. -1]);
        is($got, $expected, 'and so it goes on when a worker was killed');
    }
};


subtest 'an age, from a reload on' => sub {
    reload('chat_retention age=1h;');

    sql('UPDATE messages SET created_at = created_at - 3600000'
        . " WHERE channel = 'b'; DELETE FROM messages WHERE channel = 'a';");

    my @b = (post('b', 'young'));
    my ($got, $expected) = becomes('b', @b);
    is($got, $expected, 'what is an hour old goes');

    push @b, map { post('b', 'young') } 1 .. 30;
    is("@{[ ids('/rooms/b?after=0') ]}", "@b", 'the number has no limit now');

    # the newest, too: its id does not come back all the same
    sql('UPDATE messages SET created_at = 1;');
    ($got, $expected) = becomes('b');
    is($got, $expected, 'all of them');
    post('b', 'the next');
};


subtest 'a size' => sub {
    reload('chat_retention size=1m;');

    my @c = map { post('c', 'x' x 10_000) } 1 .. 300;
    my $used = 'SELECT (page_count - freelist_count) * page_size FROM'
               . ' pragma_page_count, pragma_freelist_count,'
               . ' pragma_page_size;';

    ok(wait_for(15, sub { sql($used) <= 1024 * 1024 }), '1 MB stays in use');
    cmp_ok(sql($used), '>', 900 * 1024, 'and not much less');

    my @left = ids('/rooms/c?after=0');
    is("@left", "@c[@c - @left .. $#c]", 'the newest are there');

    my $pages = sql('PRAGMA page_count;');

    for (1 .. 5) {
        post('c', 'x' x 10_000) for 1 .. 100;
        wait_for(15, sub { sql($used) <= 1024 * 1024 });
    }

    # what is posted within a second has to have room, too
    cmp_ok(sql('PRAGMA page_count;'), '<=', $pages + 350,
           'the room is used again');
    is(sql('PRAGMA integrity_check;'), 'ok', 'and the file is whole');
};


subtest 'a great many at once, beside POSTs' => sub {
    $server->stop;

    sql('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n'
        . ' WHERE i < ' . BACKLOG . ') INSERT INTO messages (app, channel,'
        . ' event, content, created_at, updated_at)'
        . " SELECT 17536051, 'd', 'new_message', hex(randomblob(100)),"
        . ' 1800000000000, 1800000000000 FROM n;');

    $server->write_conf(http => 'chat_retention count=1000;');
    $server->start;
    $http = Chat::HTTP->new(port => $server->port);

    my $ws = Chat::WebSocket->established(port => $server->port);
    $ws->subscribe('d');

    my $first = sql("SELECT min(id) FROM messages WHERE channel = 'd';");
    my (@d, $holes);
    my $count = 1;

    ok(wait_for(300, sub {
        push @d, post('d', 'new');

        die "event" unless $ws->next_event->{event} eq 'new_message';

        my ($min, $n) = split /\|/, sql('SELECT min(id), count(*) FROM'
                                        . " messages WHERE channel = 'd';");
        $holes++ if $min + $n - 1 != $d[-1];
        $count = $n;

        return $n <= 1000;
    }), 'all that is too much goes') or diag("$count are there");

    cmp_ok(scalar @d, '>', 10, 'POSTs are answered meanwhile');
    is($holes, undef, 'the oldest first, always');
    is($count, 1000, 'and no more than that');
    is(sql('PRAGMA integrity_check;'), 'ok', 'the file is whole');
};


$server->finish;

done_testing();
