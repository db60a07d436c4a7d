package Bench::Peer;

# A server of the benchmark: our module, nchan, or one of the floors, in a
# folder of its own, on a free port, on given cores.

use strict;
use warnings;

use Exporter 'import';
use File::Path ();
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(time sleep);

our @EXPORT_OK = qw(peer_names peer_title is_ours binary nginx slurp);

my %title = (
    chat    => 'ngx_chat_module',
    plain   => 'the same, no `chat_database`',
    nchan   => 'nchan',
    send    => 'floor, a `send()` per delivery',
    writev  => 'floor, gathering',
    tls     => 'floor, an `SSL_write()` per delivery',
    sqlite  => 'floor, as large batches',
    sqlite1 => 'floor, a commit per message',
);

my $out = 'build/bench';
my %running;
my $nchan;


sub peer_names { qw(chat plain nchan send writev tls sqlite sqlite1) }


sub peer_title { $title{$_[0]} }


# This module, whatever its configuration.

sub is_ours { $_[0] eq 'chat' || $_[0] eq 'plain' }


sub slurp {
    my ($path) = @_;

    open my $fh, '<', $path or return '';
    local $/;
    my $text = <$fh>;

    return defined $text ? $text : '';
}


# One of the C programs here, compiled if it is not yet.

sub binary {
    my ($name) = @_;

    my ($source, $target) = ("t/bench/$name.c", "$out/$name");
    my @libs = $name eq 'sqlite' ? '-lsqlite3' : qw(-lssl -lcrypto);

    return $target if -f $target && -M $target < -M $source;

    system($ENV{CC} || 'cc', qw(-O2 -Wall -Wextra -o), $target, $source, @libs)
        and die "$source does not compile\n";

    return $target;
}


sub nginx {
    my ($peer) = @_;

    return $ENV{TEST_NGINX_BINARY} if $ENV{TEST_NGINX_BINARY};

    return 'build/src-objs/nginx' if $ENV{NGINX_SRC} && is_ours($peer);

    return 'nginx';
}


sub module {
    my ($peer) = @_;

    return $ENV{CHAT_MODULE} || POSIX::getcwd() . '/build/ngx_chat_module.so'
        if is_ours($peer);

    if (!$nchan) {
        chomp($nchan = `t/bench/nchan.sh`);
        $? and die "no nchan\n";
    }

    return $nchan;
}


sub free_port {
    my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')
        or die "no free port: $!\n";

    return $socket->sockport;
}


# The two nginx are configured alike but for what they are.

sub conf {
    my ($self) = @_;

    my $user = $> == 0 ? 'user root;' : '';
    my $module = module($self->{peer});
    my $listen = "listen 127.0.0.1:$self->{port}"
                 . ($self->{workers} > 1 ? ' reuseport' : '') . ';';

    $listen .= <<"END" if $self->{tls};

        listen 127.0.0.1:$self->{tls_port} ssl;
        ssl_certificate $self->{dir}/tls.pem;
        ssl_certificate_key $self->{dir}/tls.key;
END

    my ($http, $server) = is_ours($self->{peer}) ? chat_conf($self)
                                                 : nchan_conf();

    return <<"END";
load_module $module;
$user
daemon off;
worker_processes $self->{workers};
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log error.log warn;

events {
    worker_connections 19500;
}

http {
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;

    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

$http
    server {
        $listen
$server
    }
}
END
}


sub chat_conf {
    my ($self) = @_;

    my $zone = $self->{zone} ? "chat_zone $self->{zone};" : '';
    my $activity = $self->{activity} || "120s";
    my $drain = $self->{drain} ? "chat_drain $self->{drain};" : '';
    my ($database, $store) = ('chat_database data/chat.db sync=full;',
                              'location = /messages { chat_publish chat m; }');

    $store .= <<'END' if $self->{drain};

        location = /to { chat_publish $arg_channel m; }
        location = /chat_status { chat_status; }
END

    ($database, $store) = ('', '') if $self->{peer} eq 'plain';

    return <<"END", <<"END";
    $zone
    chat_activity_timeout $activity;
    $drain
    $database

    chat_app 1001 {
        key benchkey;
        secret benchsecret;
        channels_per_connection 0;
    }
END
        location /app/ { chat_websocket; }
        location /apps/ { chat_api; }
        location /events/ { chat_events; }
        location /pusher/ { chat_fallback; }
        location = /long { limit_rate 1; return 200 long; }
        $store
END
}


sub nchan_conf {
    return <<'END', <<'END';
    nchan_shared_memory_size 256m;
END
        location = /sub {
            nchan_subscriber websocket;
            nchan_channel_id $arg_id;
            nchan_subscriber_first_message newest;
        }
        location = /pub {
            nchan_publisher http;
            nchan_channel_id $arg_id;
            nchan_message_buffer_length 1000;
            nchan_message_timeout 60s;
        }
END
}


# A key and a certificate, signed by itself.

sub make_certificate {
    my ($dir) = @_;

    my $text = `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \\
                    -nodes -days 2 -subj /CN=localhost -keyout '$dir/tls.key' \\
                    -out '$dir/tls.pem' 2>&1`;

    die "openssl: $text" if $? || !-s "$dir/tls.pem";
}


# start(peer => 'chat', workers => 1, cpus => '0'), with TLS on another port by
# tls => 1, and where there are several of one peer, name => 'another for its
# folder'

sub start {
    my ($class, %args) = @_;

    my $self = bless { workers => 1, cpus => 0, %args }, $class;
    my $name = $self->{name} || $self->{peer};
    my $dir = $self->{dir} = POSIX::getcwd() . "/$out/run-$name";

    File::Path::remove_tree($dir);
    File::Path::make_path($dir);

    $self->{port} = free_port();

    if ($self->{tls}) {
        $self->{tls_port} = free_port();
        make_certificate($dir);
    }

    my @command;

    if (is_ours($self->{peer}) || $self->{peer} eq 'nchan') {
        open my $fh, '>', "$dir/nginx.conf" or die "$dir: $!\n";
        print $fh $self->conf;
        close $fh or die $!;

        @command = (nginx($self->{peer}), '-e', "$dir/error.log",
                    '-p', "$dir/", '-c', "$dir/nginx.conf");

    } else {
        @command = (binary('floor'), $self->{peer}, $self->{port},
                    $self->{workers});

        push @command, $self->{tls_port}, "$dir/tls.pem", "$dir/tls.key"
            if $self->{tls};
    }

    $self->{pid} = fork();
    defined $self->{pid} or die "fork: $!\n";

    if (!$self->{pid}) {
        delete $ENV{NGINX};
        exec('taskset', '-c', $self->{cpus}, @command)
            or POSIX::_exit(127);
    }

    $running{$self->{pid}} = $self;
    $self->await;

    return $self;
}


# Until it accepts, with all of its workers.  A worker of nginx has its title
# once it has all memory that it begins with.

sub await {
    my ($self) = @_;

    my $nginx = -f "$self->{dir}/nginx.conf";
    my $until = time() + 10;

    while (time() < $until) {
        if (waitpid($self->{pid}, POSIX::WNOHANG()) > 0) {
            delete $running{$self->{pid}};
            last;
        }

        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                           PeerPort => $self->{port});

        my @workers = $self->pids;

        @workers = grep { slurp("/proc/$_/cmdline") =~ /worker process/ }
                        @workers if $nginx;

        return if $socket && @workers >= $self->{workers};

        sleep 0.01;
    }

    die "$self->{peer} does not start:\n" . slurp("$self->{dir}/error.log");
}


sub pids {
    my ($self) = @_;

    my @pids = $self->{pid};

    for my $path (glob '/proc/[0-9]*/stat') {
        push @pids, $1
            if slurp($path) =~ /^(\d+) \(.*\) \S (\d+) /s
               && $2 == $self->{pid};
    }

    return @pids;
}


# A message, and what chat_status says, where it has a time for its drain.  A
# request is one write: with two, the kernel would wait for the first one's
# acknowledgement.

sub post {
    my ($self, $path) = @_;

    my $socket = $self->{socket} //= IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $self->{port});

    my $body = '{"content":"' . 'x' x 128 . '"}';

    syswrite $socket, "POST $path HTTP/1.1\r\nHost: bench\r\n"
                      . "Content-Type: application/json\r\n"
                      . 'Content-Length: ' . length($body) . "\r\n\r\n$body";

    my $text = '';

    while ($text !~ /^Content-Length: (\d+)\r\n.*?\r\n\r\n(.*)\z/ims
           || length $2 < $1)
    {
        sysread $socket, $text, 4096, length $text or die "$path: no answer\n";
    }

    $text =~ m{^HTTP/1\.1 201 } or die "$path: $text\n";
}


sub status {
    my ($self) = @_;

    # on a connection of its own, since a reload ends those that are idle
    my $res = HTTP::Tiny->new(timeout => 30, keep_alive => 0)
                        ->get("http://127.0.0.1:$self->{port}/chat_status");

    $res->{status} == 200 or die "chat_status: $res->{status}\n";

    return JSON::PP::decode_json($res->{content});
}


sub stop {
    my ($self) = @_;

    my @pids = $self->pids;
    my $until = time() + 10;
    my $done = 0;

    delete $running{$self->{pid}};
    kill 'TERM', $self->{pid};

    while (!($done = waitpid($self->{pid}, POSIX::WNOHANG()))
           && time() < $until)
    {
        sleep 0.01;
    }

    if (!$done) {
        kill 'KILL', @pids;
        waitpid($self->{pid}, 0);
    }

    my @alerts = grep { /\[(?:alert|emerg|crit)\]/ }
                 split /^/, slurp("$self->{dir}/error.log");

    warn "$self->{peer}'s log has:\n", splice(@alerts, 0, 5) if @alerts;

    return;
}


sub stop_all { $_->stop for values %running }


END {
    local $?;
    stop_all();
}


1;
