# Promise 4: another process holds the database's write lock.  POSTs wait
# without blocking anyone, then succeed; where the lock is held for more than
# 10 s they get their 503, and then nothing was stored and nothing was sent.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;
use Time::HiRes qw(time);

use Chat::API;
use Chat::HTTP qw(from_json json_bytes);
use Chat::Locker;
use Chat::Server qw(wait_for);
use Chat::WebSocket;

# one worker: whoever waits would be waited for by all
my $server = Chat::Server->new(workers => 1, locations => <<'END')->start;
        location = /messages {
            chat_history  chat;
            chat_publish  chat new_message;
        }

        location /app/ { chat_websocket; }
        location /apps/ { chat_api; }
        location = /chat_status { chat_status; }
END
my $port = $server->port;
my $http = Chat::HTTP->new(port => $port);
my $api = Chat::API->new(port => $port);
my $ws = Chat::WebSocket->established(port => $port);
my $locker;

$ws->subscribe('chat');

is($http->post('/messages', { content => 'before' })->{status}, 201,
   'a first message');
is($ws->next_event->{event}, 'new_message', 'is sent');

$locker = Chat::Locker->new($server->database);


sub start_posts {
    my (@contents) = @_;

    return map {
        my $client = Chat::HTTP->new(port => $port, timeout => 60);
        $client->send_raw(Chat::HTTP->format_request('POST', '/messages',
            { 'Content-Type' => 'application/json' },
            json_bytes({ content => $_ })));
        $client;
    } @contents;
}


sub store { return from_json($http->get('/chat_status')->{body})->{store} }


# Whoever waited for the lock, too, would get its answer no sooner than the POSTs
# get theirs.

subtest 'locked' => sub {
    $locker->lock;

    my $start = time();
    my @posts = start_posts(map { "waits $_" } 1 .. 5);
    my $answers = IO::Select->new(map { $_->socket } @posts);
    my %wrong;

    ok(wait_for(5, sub { store()->{queued} == 5 }), 'POSTs wait');

    for my $n (1 .. 20) {
        my $res = $http->get('/messages');

        $wrong{GET}++ unless $res->{status} == 200
                             && @{ from_json($res->{body}) } == 1;

        $wrong{Ping}++ unless $ws->nothing_waits;

        $res = $api->trigger({ name => 'e', channel => 'chat', data => "$n" });
        $wrong{event}++ unless $res->{status} == 200
                               && $ws->next_event->{data} eq $n;

        Chat::WebSocket->established(port => $port)->subscribe('chat');

        # the POSTs wait for 10 s
        last if time() - $start > 4;
    }

    is_deeply(\%wrong, {}, 'GETs, Pings, events and new subscribers do not');
    is(store()->{queued}, 5, 'the POSTs wait all the while');
    ok(!$answers->can_read(0), 'and have no answer');

    $locker->unlock;

    my @ids;

    for my $post (@posts) {
        my $res = $post->read_response('POST');
        is($res->{status}, 201, 'then the POST succeeds');
        push @ids, from_json($res->{body})->{id};
    }

    is(join(' ', map { from_json($ws->next_event->{data})->{id} } @ids),
       join(' ', sort { $a <=> $b } @ids), 'and the events are sent');
    is(scalar @{ $http->history('/messages') }, 6, 'and in history');
};


subtest 'a reader does not hold anybody up' => sub {
    $locker->run('BEGIN; SELECT count(*) FROM sqlite_master;');

    is($http->post('/messages', { content => 'beside a reader' })->{status},
       201, 'while it reads, a POST is answered');
    is($ws->next_event->{event}, 'new_message', 'and sent');

    $locker->run('COMMIT;');
};


subtest 'locked beyond the time limit' => sub {
    my $before = $http->history('/messages');

    $locker->lock;

    my $start = time();
    my @posts = start_posts(map { "too late $_" } 1 .. 3);

    for my $post (@posts) {
        my $res = $post->read_response('POST');

        is($res->{status}, 503, 'refused with 503');
        cmp_ok(time() - $start, '>', 9.9, 'not before 10 s have gone');
        like($res->{headers}{'retry-after'} || '', qr/^\d+$/, 'Retry-After');
        like($res->{headers}{'content-type'} || '', qr{^application/json},
             'JSON');
        like(from_json($res->{body})->{error}, qr/\S/, 'with an error');
    }

    $locker->unlock;

    is(scalar @{ $http->history('/messages') }, scalar @$before,
       'nothing was stored');
    ok($ws->nothing_waits, 'nothing was sent');

    my $status = from_json($http->get('/chat_status')->{body});

    is($status->{unavailable_answers}, 3, 'each 503 is counted');
    cmp_ok($status->{store}{batches_busy}, '>', 0, 'and why');
    like($server->incident('database_write')->{detail},
         qr/"database is locked"$/, 'as the console says');
    is($status->{store}{batches_failed}, 0, 'which was no other fault');
    is($status->{store}{queued}, 0, 'nothing waits any more');

    my $res = $http->post('/messages', { content => 'after' });

    is($res->{status}, 201, 'the next POST succeeds');
    is($ws->next_event->{data}, $res->{body}, 'and is the next event');
    is(from_json($http->get('/messages?limit=1')->{body})->[0]{content},
       'after', 'and the newest message');
};


is($locker->finish, 0, 'sqlite3 ended well');

$server->finish;


# Each message is a batch of its own here.  Without a limit the third one would
# be in the third batch, which waits 10 s more.

subtest 'a queue that does not move' => sub {
    $server = Chat::Server->new(workers => 1, zone => '1m')->start;
    $port = $server->port;
    $http = Chat::HTTP->new(port => $port);
    $http->post('/messages', { content => 'before' });
    $locker = Chat::Locker->new($server->database);
    $locker->lock;

    my @posts = start_posts(map { "$_ " . 'x' x 9500 } 1 .. 3);

    is($_->read_response('POST')->{status}, 503, 'refused') for @posts;

    cmp_ok(store()->{batches_busy}, '<', 3, 'the last one was in no batch');
    is(store()->{queued}, 0, 'nothing waits any more');
    is($locker->run('SELECT count(*) FROM messages;'), "1\n",
       'nothing is stored');

    $locker->unlock;

    is($http->post('/messages', { content => 'after' })->{status}, 201,
       'the next POST succeeds');
    is(join(' ', map { $_->{content} } @{ $http->history('/messages') }),
       'before after', 'and nothing else comes behind');
    is($locker->finish, 0, 'sqlite3 ended well');
    $server->finish;
};


subtest 'more than the queue takes' => sub {
    my ($messages, $size) = (96, 1024 * 1024);

    $server = Chat::Server->new(workers => 1, zone => '64m',
                                locations => <<'END')->start;
        chat_max_message_size 1100k;
        client_max_body_size 2m;

        location = /messages {
            chat_history  chat;
            chat_publish  chat new_message;
        }

        location /app/ { chat_websocket; }
END
    $port = $server->port;

    my $first = Chat::HTTP->new(port => $port)
                    ->post('/messages', { content => 'first' });
    is($first->{status}, 201, 'a first message');

    $locker = Chat::Locker->new($server->database);
    $locker->lock;

    my @posts = start_posts(map { "$_ " . 'x' x $size } 1 .. $messages);

    # that is why some are refused, while the others wait
    ok(wait_for(60, sub {
           $server->error_log =~ /chat store queue is full/
       }), 'the queue is full');
    ok(IO::Select->new(map { $_->socket } @posts)->can_read(60),
       'there is an answer while the database is locked');
    $locker->unlock;
    like($server->incident('store_queue_full')->{detail},
         qr/^\d+ messages wait$/, 'which the console says');

    my (%count, @taken);

    for my $post (@posts) {
        my $res = $post->read_response('POST');
        my $status = $res->{status};

        $count{$status}++;
        push @taken, $res->{body} =~ /^\{"id":(\d+),/ if $status eq '201';
        like($res->{headers}{'retry-after'} || '', qr/^\d+$/,
             'a 503 has Retry-After') if $status eq '503';
    }

    cmp_ok($count{503} || 0, '>', 0, 'some get 503');
    cmp_ok($count{201} || 0, '>', 0, 'some are taken');
    is(($count{503} || 0) + ($count{201} || 0), $messages,
       'nothing else happens');

    # JSON::PP would need a minute for so much text
    my (@ids, @page);
    my $reader = Chat::HTTP->new(port => $port);

    do {
        my $after = @ids ? $ids[-1] : 0;
        @page = $reader->get("/messages?limit=10&after=$after")->{body}
                =~ /\{"id":(\d+),/g;
        push @ids, @page;
    } while (@page);

    is("@ids",
       join(' ', from_json($first->{body})->{id}, sort { $a <=> $b } @taken),
       'what was refused is not stored');
    is(Chat::HTTP->new(port => $port)
           ->post('/messages', { content => 'last' })->{status}, 201,
       'and then all is well again');

    is($locker->finish, 0, 'sqlite3 ended well');
    $server->finish;
};

done_testing();
