package Chat::Server;

# A real nginx for a test: a master with workers, in a folder of its own under
# build/, on a free port.  The tests end, kill, restart and reload it.
#
# finish() (called at the end of the test, if not before) fails the test where
# a worker ended that was not meant to, or the error log has an [alert] or
# [emerg] that the test did not announce.

use strict;
use warnings;

use Cwd ();
use Exporter 'import';
use File::Basename ();
use File::Path ();
use IO::Socket::INET;
use POSIX ();
use Test::More;
use Time::HiRes qw(time sleep);

use Chat::TLS qw(make_certificate);

# what serves /app/; see t/websocket_log.t
our $WEBSOCKET = 'chat_websocket;';

our @EXPORT_OK = qw(APP_ID APP_KEY APP_SECRET SCALE module_path build_dir
                    close_inherited free_port stop_worker wait_for slurp spew
                    write_wrapper valgrind_faults);

use constant {
    APP_ID     => 17536051,
    APP_KEY    => '6ed32465d0c1fff140be76a',
    APP_SECRET => '034a2c9c01f31f8e4064d',

    # every time limit is multiplied by this
    SCALE      => $ENV{CHAT_VALGRIND} ? 10 : 1,
};

my $serial = 0;
my @running;


sub slurp {
    my ($path) = @_;

    open my $fh, '<:raw', $path or die "open $path: $!";
    local $/;
    my $text = <$fh>;

    return defined $text ? $text : '';
}


sub spew {
    my ($path, $text) = @_;

    open my $fh, '>:raw', $path or die "open $path: $!";
    print $fh $text;
    close $fh or die "close $path: $!";
}


# The repository's build/ folder.

sub build_dir {
    my $here = File::Basename::dirname(Cwd::abs_path(__FILE__));
    my $dir = Cwd::abs_path("$here/../../..") . '/build';

    File::Path::make_path($dir);

    return $dir;
}


sub module_path {
    my $path = $ENV{CHAT_MODULE} || $ENV{TEST_NGINX_LOAD_MODULES}
               || build_dir() . '/ngx_chat_module.so';

    -f $path or BAIL_OUT("there is no module $path; run make first");

    return Cwd::abs_path($path);
}


sub binary {
    my $binary = $ENV{TEST_NGINX_BINARY};

    return $binary if defined $binary;

    for my $dir (split(/:/, $ENV{PATH}), '/usr/sbin') {
        return "$dir/nginx" if -x "$dir/nginx";
    }

    BAIL_OUT("there is no nginx");
}


# HTTP/2 on a port: a parameter of "listen", which nginx calls deprecated from
# 1.25.1 on, and its forks in all their versions.

sub http2_lines {
    my $binary = binary();
    my @version = `$binary -v 2>&1` =~ m{nginx/(\d+)\.(\d+)\.(\d+)};

    my $parameter = @version
                    && sprintf('%03d%03d%03d', @version) < '001025001';

    return $parameter ? ('http2', '') : ('', 'http2 on;');
}


# In a child: closes what the parent has open, but for what is named.  Else its
# connections stay open with the child when the parent closes them.

sub close_inherited {
    my %keep = map { $_ => 1 } 0, 1, 2, @_;

    opendir my $dir, '/proc/self/fd' or die $!;
    my @open = grep { /^\d+$/ && !$keep{$_} } readdir $dir;
    closedir $dir;

    POSIX::close($_) for @open;
}


# Ports above and below the ephemeral ones: no client of ours can sit on it
# while nginx is restarted.

sub free_port {
    for (1 .. 200) {
        my $port = 10000 + int(rand(20000));
        my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                      LocalPort => $port,
                                      ReuseAddr => 1, Listen => 1);
        return $port if $s;
    }

    die "no free port";
}


# Calls a function until it returns something true, for at most the given
# seconds; returns that, or what it returned last.

sub wait_for {
    my ($seconds, $cb) = @_;

    my $end = time() + $seconds * SCALE;

    while (1) {
        my $rc = $cb->();
        return $rc if $rc || time() > $end;
        sleep(0.01);
    }
}


# A shell script that runs nginx under valgrind, which does not know all of
# the kernel's ioctl() requests (SIOCOUTQNSD).

sub write_wrapper {
    my ($path, $name) = @_;

    my $logs = build_dir() . '/valgrind';
    my $root = File::Basename::dirname(build_dir());
    my $nginx = binary();

    File::Path::make_path($logs);

    spew($path, <<"END");
#!/bin/sh
case " \$* " in
*" -V "*) exec $nginx "\$@" ;;
esac
exec valgrind --quiet --log-file=$logs/$name.%p.log --num-callers=30 \\
    --sim-hints=lax-ioctls \\
    --keep-debuginfo=yes --leak-check=full --show-leak-kinds=definite \\
    --errors-for-leak-kinds=definite --gen-suppressions=all \\
    --suppressions=$root/t/valgrind.suppress $nginx "\$@"
END
    chmod 0755, $path;
}


# What valgrind found in a test's processes: the names of log files with
# anything in them.

sub valgrind_faults {
    my ($name) = @_;

    return grep { slurp($_) =~ /^==\d+== /m }
           glob(build_dir() . "/valgrind/$name.*.log");
}


# new(workers => 2, http => '', server => '', locations => '', main => '',
#     listen => '', events => '', zone => '8m', app => '', database => PATH,
#     connections => 2048, user => 'root', conf => WHOLE TEXT,
#     shell => COMMANDS BEFORE nginx,
#     tls => 1: tls_port() takes HTTP/1.1, HTTP/2 and WebSocket over TLS,
#     http3 => 1: and HTTP/3, too
#     h2c => 1: h2c_port() takes HTTP/2 without TLS)

sub new {
    my ($class, %args) = @_;

    my $name = File::Basename::basename($0, '.t');
    my $dir = build_dir() . '/t/' . $name . '-' . $$ . '-' . ++$serial;

    File::Path::remove_tree($dir);
    File::Path::make_path("$dir/logs", "$dir/conf", "$dir/tmp");
    chmod 0755, $dir;

    my $self = bless {
        workers => 2,
        zone    => '8m',
        %args,
        name    => $name,
        dir     => $dir,
        port    => free_port(),
        owner   => $$,
        deaths  => {},
        allowed => [],
    }, $class;

    if ($self->{tls}) {
        $self->{tls_port} = free_port();
        make_certificate("$dir/conf/key.pem", "$dir/conf/cert.pem");
    }

    $self->{h2c_port} = free_port() if $self->{h2c};
    $self->{database} = "$dir/data/chat.db" unless defined $self->{database};
    $self->write_conf;

    push @running, $self;

    return $self;
}


# Copies the first message, until the database has so many of them.

sub multiply_message {
    my ($self, $n) = @_;

    is(system('sqlite3', '-cmd', '.timeout 10000', $self->database, <<"END"), 0,
        WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n
                                 WHERE i < $n)
        INSERT INTO messages (app, channel, event, content, created_at,
                              updated_at, kind)
        SELECT app, channel, event, content, created_at, updated_at, kind
        FROM messages, n WHERE id = 1 ORDER BY i;
END
       "$n messages");

    return;
}


sub port        { $_[0]{port} }
sub tls_port    { $_[0]{tls_port} }
sub h2c_port    { $_[0]{h2c_port} }
sub dir         { $_[0]{dir} }
sub database    { $_[0]{database} }
sub master_pid  { $_[0]{pid} }
sub conf_file   { "$_[0]{dir}/conf/nginx.conf" }
sub log_file    { "$_[0]{dir}/logs/error.log" }
sub error_log   { -f $_[0]->log_file ? slurp($_[0]->log_file) : '' }


sub write_conf {
    my ($self, %args) = @_;

    %$self = (%$self, %args);

    spew($self->conf_file,
         defined $self->{conf} ? $self->{conf} : $self->default_conf);
}


sub default_conf {
    my ($self) = @_;

    my %c = (main => '', http => '', server => '', events => '', app => '',
             listen => '', connections => 2048, grace => 0, %$self);

    $c{user} = $> == 0 ? 'root' : '' unless defined $c{user};
    my $user = $c{user} ne '' ? "user $c{user};" : '';

    $c{locations} = <<"END" unless defined $c{locations};
        location = /messages {
            chat_history  chat;
            chat_publish  chat new_message;
        }

        location /app/ { $WEBSOCKET }
        location = /chat_status { chat_status; }
END

    my ($parameter, $directive) = $self->{tls} || $self->{h2c}
                                  ? http2_lines() : ('', '');
    my $h2c = $self->{h2c} ? "listen 127.0.0.1:$self->{h2c_port} $parameter;"
                           : '';
    my $quic = $self->{http3}
               ? "listen 127.0.0.1:$self->{tls_port} quic reuseport;" : '';
    my $tls = $self->{tls} ? <<"END" : '';
listen 127.0.0.1:$self->{tls_port} ssl $parameter $c{listen};
        $quic
        ssl_certificate cert.pem;
        ssl_certificate_key key.pem;
END

    # see incident()
    my $console = $c{locations} =~ /chat_console/ ? ''
                  : 'location /console/ { chat_console; }';

    my ($id, $key, $secret) = (APP_ID, APP_KEY, APP_SECRET);
    my $module = module_path();

    return <<"END";
load_module $module;
$user
daemon off;
worker_processes $c{workers};
pid logs/nginx.pid;
error_log logs/error.log info;
$c{main}

events {
    worker_connections $c{connections};
    $c{events}
}

http {
    access_log off;
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
    keepalive_requests 100000;
    keepalive_timeout 1h;
    client_header_timeout 1h;

    chat_zone $c{zone};
    chat_database $c{database};
    chat_presence_grace $c{grace};

    chat_app $id {
        key $key;
        secret $secret;
        $c{app}
    }

    $c{http}

    server {
        listen 127.0.0.1:$c{port} $c{listen};
        $h2c
        $tls
        $directive
        $c{server}

$c{locations}
        $console
    }
}
END
}


# What the sqlite3 shell says.

sub sqlite {
    my ($self, $sql) = @_;

    open my $fh, '-|', 'sqlite3', '-cmd', '.timeout 10000', $self->database,
         $sql or die "sqlite3: $!";
    local $/;
    my $text = <$fh>;

    close $fh or die "sqlite3: $sql";
    $text =~ s/\n\z//;

    return $text;
}


# What the console tells of a kind of incident, such as worker_died; undef:
# nothing.

sub incident {
    my ($self, $kind) = @_;

    my $res = Chat::HTTP->new(port => $self->port)
                        ->get('/console/incidents', { 'X-Chat-Console' => 1 });
    my ($one) = grep { $_->{kind} eq $kind }
                @{ Chat::HTTP::from_json($res->{body})->{incidents} };

    return $one;
}


# nginx's own command line for this folder.

sub command {
    my ($self, @more) = @_;

    my $nginx = binary();

    if ($ENV{CHAT_VALGRIND} && !@more) {
        $nginx = "$self->{dir}/nginx-valgrind";
        write_wrapper($nginx, "$self->{name}-$$") unless -f $nginx;
    }

    return ($nginx, '-e', $self->log_file, '-p', "$self->{dir}/",
            '-c', $self->conf_file, @more);
}


# nginx -t: (exit code, all it said)

sub check_conf {
    my ($self) = @_;

    my $cmd = join(' ', map { "'$_'" } $self->command('-t'));
    my $out = `$cmd 2>&1`;

    return ($? >> 8, $out);
}


sub start {
    my ($self) = @_;

    my @cmd = $self->command;

    if (defined $self->{shell}) {
        @cmd = ('/bin/sh', '-c', "$self->{shell}\nexec \"\$@\"", 'sh', @cmd);
    }

    my $pid = fork();
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$self->{dir}/logs/stdout";
        open STDERR, '>>', "$self->{dir}/logs/stderr";
        exec @cmd or POSIX::_exit(127);
    }

    $self->{pid} = $pid;
    $self->{failed} = undef;

    my $up = wait_for(10, sub {
        if (waitpid($pid, POSIX::WNOHANG()) == $pid) {
            $self->{failed} = $?;
            return 1;
        }

        return 0 unless $self->worker_pids >= $self->{workers};
        return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                     PeerPort => $self->{port});
    });

    if (!$up || defined $self->{failed}) {
        kill 9, $pid unless defined $self->{failed};
        undef $self->{pid};
        die "nginx does not start:\n" . $self->error_log
            . slurp("$self->{dir}/logs/stderr");
    }

    $self->{workers_seen} = [ $self->worker_pids ];

    return $self;
}


sub children {
    my ($parent) = @_;

    my @pids;

    for my $path (glob('/proc/[0-9]*/stat')) {
        open my $fh, '<', $path or next;
        my $stat = <$fh>;
        next unless defined $stat;
        my ($pid, $state, $ppid) = $stat =~ /^(\d+) \(.*\) (\S) (\d+)/s or next;
        push @pids, $pid if $ppid == $parent && $state ne 'Z';
    }

    return sort { $a <=> $b } @pids;
}


sub title {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/cmdline" or return '';
    my $title = <$fh>;

    return defined $title ? $title : '';
}


# The workers that serve; not those that a reload sends away.

sub worker_pids {
    my ($self) = @_;

    return grep { title($_) !~ /shutting down/ && !$self->{leaving}{$_} }
           $self->all_worker_pids;
}


sub all_worker_pids {
    my ($self) = @_;

    return () unless $self->{pid};

    my @pids = children($self->{pid});

    # valgrind's processes keep their title
    @pids = grep { title($_) =~ /worker process/ } @pids
        if !$ENV{CHAT_VALGRIND};

    # an array, so that a caller may as well ask for the number
    return @pids;
}


# Those that send webhooks, or have: they have libcurl.

sub senders {
    my ($self) = @_;

    return grep { slurp("/proc/$_/maps") =~ /libcurl/ } $self->worker_pids;
}


sub is_alive {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/stat" or return 0;
    my $stat = <$fh>;

    return 0 unless defined $stat;
    return 1 if $stat !~ /^\d+ \(.*\) [ZX] /s;

    # of a killed process the first thread may go before those that have its
    # sockets open yet
    my @threads = glob "/proc/$pid/task/*";

    return @threads > 1;
}


# Until it stands, so that all that is sent meanwhile is there when it looks;
# SIGCONT has it go on.  The master stands as well.

sub stop_worker {
    my ($pid) = @_;

    kill 'STOP', $pid;
    wait_for(10, sub { slurp("/proc/$pid/stat") =~ /\) T / })
        or die "process $pid does not stop";

    return;
}


# Memory of a worker that no other process shares, in bytes.

sub worker_memory {
    my ($self, $pid) = @_;

    my ($kb) = slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;

    return $kb * 1024;
}


sub sockets_of {
    my ($self, $pid) = @_;

    return scalar grep { (readlink($_) || '') =~ /^socket:/ }
                  glob("/proc/$pid/fd/*");
}


# Announces the death of a worker, or a line in the log.

sub expect_death { my $self = shift; $self->{deaths}{$_} = 1 for @_ }
sub expect_log   { my $self = shift; push @{$self->{allowed}}, @_ }


# Announces a worker's death by a signal, be it with the lock of shared memory:
# then that is wiped, and all clients are told to reconnect.

sub expect_killed {
    my ($self, $pid, $signal) = @_;

    $self->expect_death($pid);
    $self->expect_log(
        qr/worker process $pid exited on signal $signal/,
        qr/shared memory zone .* was locked by $pid/,
        qr/\[alert\].* chat shared memory was wiped: a worker died/);
}


# Whether it died so.

sub had_lock {
    my ($self, $pid) = @_;

    return $self->error_log =~ /shared memory zone .* was locked by $pid$/m;
}


sub reap_master {
    my ($self, $seconds) = @_;

    my $pid = $self->{pid};
    my $gone = wait_for($seconds, sub {
        return waitpid($pid, POSIX::WNOHANG()) != 0;
    });

    undef $self->{pid} if $gone;

    return $gone;
}


sub check_workers {
    my ($self) = @_;

    return unless $self->{pid};

    my %now = map { $_ => 1 } $self->worker_pids;
    my @missing = grep { !$now{$_} && !$self->{deaths}{$_} }
                  @{$self->{workers_seen}};

    is("@missing", '', "$self->{name}: the workers are those that started");
}


# SIGTERM to all of nginx.  Its master kills a worker that has not ended within
# a second and a half, which a busy machine may need; so it stands until they
# have ended.

sub terminate {
    my ($self, $seconds) = @_;

    my $pid = $self->{pid};

    stop_worker($pid) if is_alive($pid);

    my @workers = children($pid);

    kill 'TERM', @workers, $pid;

    my $ended = wait_for($seconds, sub { !grep { is_alive($_) } @workers });

    kill 'CONT', $pid;

    return $ended && $self->reap_master($seconds);
}


# Ends nginx: by QUIT, which is graceful, or else by TERM.

sub stop {
    my ($self, $signal) = @_;

    return unless $self->{pid};

    $self->check_workers;

    my $ended;

    if ($signal && $signal ne 'TERM') {
        kill $signal, $self->{pid};
        $ended = $self->reap_master(60);

    } else {
        $ended = $self->terminate(60);
    }

    if (!$ended) {
        fail("$self->{name}: nginx ends");
        $self->kill_all;
    }
}


# kill -9 of the master and all workers, at one time.

sub kill_all {
    my ($self) = @_;

    my $pid = $self->{pid} or return;
    my @workers = children($pid);

    # the master first: else it would start a new worker
    kill 'KILL', $pid, @workers;
    waitpid($pid, 0);
    undef $self->{pid};

    wait_for(10, sub { !grep { is_alive($_) } @workers })
        or die "workers are alive after kill -9";
}


sub restart {
    my ($self) = @_;

    $self->stop;

    return $self->start;
}


# Reloads and waits until the new workers are there, and the old ones accept
# no more.  Returns the ids of the new.

sub reload {
    my ($self) = @_;

    my %old = map { $_ => 1 } $self->all_worker_pids;

    $self->expect_death(keys %old);
    $self->{leaving} = \%old;

    kill 'HUP', $self->{pid};

    my @new;
    wait_for(15, sub {
        @new = grep { !$old{$_} } $self->worker_pids;
        return @new >= $self->{workers};
    }) or die "no new workers after a reload:\n" . $self->error_log;

    # nginx's master tells them 0.1 s later than it has started the new
    wait_for(15, sub {
        my $log = $self->error_log;
        return !grep { is_alive($_)
                       && $log !~ / $_#\d+: gracefully shutting down/ }
                keys %old;
    }) or die "old workers accept after a reload:\n" . $self->error_log;

    $self->{workers_seen} = [ @new ];

    return @new;
}


sub check_log {
    my ($self) = @_;

    my @bad;

    LINE: for my $line (split /\n/, $self->error_log) {
        if ($line =~ /process (\d+) exited (.*)/) {
            my ($pid, $how) = ($1, $2);
            next if $how =~ /^with code 0/ || $self->{deaths}{$pid};

        } elsif ($line !~ /\[(?:alert|emerg)\]|is deprecated/) {
            next;
        }

        for my $re (@{$self->{allowed}}) {
            next LINE if $line =~ $re;
        }

        push @bad, $line;
    }

    is(join("\n", @bad), '', "$self->{name}: nothing alarming in the log");

    # promise 8
    my $secret = APP_SECRET;
    is(scalar(() = $self->error_log =~ /\Q$secret/g), 0,
       "$self->{name}: no secret in the log");
}


sub finish {
    my ($self) = @_;

    return if $self->{finished}++;

    $self->stop;
    $self->check_log;

    if ($ENV{CHAT_VALGRIND}) {
        is(join(' ', valgrind_faults("$self->{name}-$self->{owner}")), '',
           "$self->{name}: valgrind has nothing to say");
    }

    @running = grep { $_ != $self } @running;

    # what was wrong can be looked at afterwards
    if (Test::More->builder->is_passing && !$ENV{CHAT_KEEP}) {
        File::Path::remove_tree($self->{dir});
    }
}


# A test that dies leaves no nginx behind.

END {
    my $status = $?;

    for my $self (@running) {
        next if $self->{owner} != $$ || !$self->{pid};
        $self->kill_all;
        diag("the log is in " . $self->log_file);
    }

    $? = $status;
}


1;
