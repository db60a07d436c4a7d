# conf/prometheus-alerts.yml and conf/grafana.json: promtool accepts the rules
# and each expression of the dashboard, each alert fires where it should and
# not just below, and both know only what chat_status prints.
#
# Each alert is tried with two servers, one that has the trouble and one that
# is just short of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use CPAN::Meta::YAML;
use File::Path ();
use JSON::PP;
use Test::More;

use Chat::HTTP;
use Chat::Engine;
use Chat::Server qw(build_dir slurp spew wait_for);

my $conf = "$FindBin::Bin/../conf";
my $rules_file = "$conf/prometheus-alerts.yml";
my $dir = build_dir() . "/t/monitoring-$$";
my $json = JSON::PP->new->utf8->canonical;

File::Path::make_path($dir);


# ---- what there is

sub promtool {
    my (@arguments) = @_;

    my $tool = build_dir() . '/promtool/promtool';
    $tool = 'promtool' unless -x $tool;

    open my $pipe, '-|', qw(sh -c), 'exec "$@" 2>&1', 'sh', $tool, @arguments
        or die "$tool: $!";

    my $said = do { local $/; <$pipe> };

    close $pipe;
    return ($?, defined $said ? $said : '');
}


# The samples of a server with all that can be configured, as
# { name => [ { label => value } ] }.

sub samples {
    my $engine = Chat::Engine->new;
    my $server = Chat::Server->new(workers => 2,
        http => 'chat_cluster ' . $engine->url . ';');
    my (%found, $text);

    $server->start;

    my $http = Chat::HTTP->new(port => $server->port);

    wait_for(10, sub {
        $text = $http->get('/chat_status?format=prometheus')->{body};
        return $text =~ /^ngx_chat_cluster_joined 1$/m;
    });

    while ($text =~ /^(\w+)(?:\{(.*)\})? \S+$/mg) {
        my ($name, $labels) = ($1, $2 // '');

        push @{ $found{$name} }, { $labels =~ /(\w+)="([^"]*)"/g };
    }

    $server->finish;
    return \%found;
}


my $samples = samples();
my @rules = map { @{ $_->{rules} } }
            @{ CPAN::Meta::YAML->read($rules_file)->[0]{groups} };
my $board = $json->decode(slurp("$conf/grafana.json"));


# What an expression asks for and chat_status does not have.  Prometheus adds
# the labels "job" and "instance", and the metric "up".

sub unknown {
    my ($expr) = @_;

    my @faults;

    while ($expr =~ /\b(\w+)(?:\{([^}]*)\})?(?=\s*[\[\s)<>=+*\/-]|\s*\z)/g) {
        my ($name, $matchers) = ($1, $2 // '');

        next if $name !~ /^ngx_chat_/;

        my $list = $samples->{$name};

        if (!$list) {
            push @faults, $name;
            next;
        }

        while ($matchers =~ /(\w+)(=~|!~|!=|=)"([^"]*)"/g) {
            my ($label, $op, $value) = ($1, $2, $3);

            next if $label =~ /^(?:job|instance)$/;

            for my $one ($op =~ /~/ ? split(/\|/, $value) : $value) {
                push @faults, "$name {$label=\"$one\"}"
                    if !grep { ($_->{$label} // '') eq $one } @$list;
            }
        }
    }

    # none that the pattern above has passed over
    for my $name ($expr =~ /\b(ngx_chat_\w+)/g) {
        push @faults, $name if !$samples->{$name};
    }

    return @faults;
}


# ---- the rules

subtest 'the rules' => sub {
    my ($code, $said) = promtool('check', 'rules', $rules_file);

    is($code, 0, 'promtool accepts them') or diag($said);

    my %seen;

    for my $rule (@rules) {
        my $name = $rule->{alert};

        ok(!$seen{$name}++, "$name comes once");
        like($rule->{labels}{severity}, qr/^(?:critical|warning)$/,
             "$name: severity");
        is(join(' ', unknown($rule->{expr})), '',
           "$name asks for what there is");

        for (qw(summary description)) {
            my $text = $rule->{annotations}{$_} // '';

            like($text, qr/^[\{A-Z0-9].*[.?]\z/, "$name: $_ is a sentence");
        }

        # an alert of a server says of which
        like($rule->{annotations}{summary}, qr/\$labels\.instance/,
             "$name names the server");
    }

    isnt(join(' ', unknown($_)), '', "unknown: $_") for
        'rate(ngx_chat_nothing_total[5m])',
        'ngx_chat_connections_closed_total{reason="nothing"} > 0',
        'ngx_chat_recoveries_total{result=~"gone|nothing"}';
};


# ---- what makes each alert fire

sub closed { return qq[ngx_chat_connections_closed_total{reason="$_[0]"}] }
sub refused { return qq[ngx_chat_connections_refused_total{code="$_[0]"}] }
sub failed { return qq[ngx_chat_store_batches_failed_total{reason="$_[0]"}] }
sub result { return qq[ngx_chat_recoveries_total{result="$_[0]"}] }

sub part {
    my ($part, $used, $free) = @_;

    return (qq[ngx_chat_memory_used_bytes{part="$part"}] => "$used+0x90",
            qq[ngx_chat_memory_free_bytes{part="$part"}] => "$free+0x90");
}


# All ten of ten commits a minute are in the bucket with that bound.

sub commits {
    my ($bound) = @_;

    my $name = 'ngx_chat_store_commit_seconds_bucket';
    my @bounds = grep { $_ ne '+Inf' } map { $_->{le} } @{ $samples->{$name} };

    return map { (qq[$name\{le="$_"}] => $_ eq '+Inf' || $_ >= $bound
                                         ? '0+10x90' : '0x90') }
           @bounds, '+Inf';
}


# name => [ bad server, good server, labels of the alert but job, instance and
# severity ]; samples are a minute apart, and all but "at" holds for an hour.

my %cases = (
    ChatDown => [ { up => '1x10 0x80' }, { up => '1x90' } ],

    ChatRestarts => [
        { ngx_chat_uptime_seconds =>
          '60+60x32 60+60x4 60+60x4 60+60x4 60+60x40' },
        { ngx_chat_uptime_seconds => '60+60x32 60+60x4 60+60x60' },
        {}, '50m' ],

    ChatWorkerDied => [ { ngx_chat_workers_died_total => '0x55 1x30' },
                        { ngx_chat_workers_died_total => '1x90' } ],

    ChatRegistryWiped => [ { ngx_chat_registry_wipes_total => '0x55 1x30' },
                           { ngx_chat_registry_wipes_total => '1x90' } ],

    ChatWorkerBehind => [
        { part('ring', 400, 600),
          'ngx_chat_worker_bus_lag_bytes{pid="7"}' => '0x55 260x30',
          'ngx_chat_worker_bus_lag_bytes{pid="8"}' => '0x90' },
        { part('ring', 400, 600),
          'ngx_chat_worker_bus_lag_bytes{pid="7"}' => '0x55 240x30' },
        { pid => 7 } ],

    ChatWorkerOverrun => [ { ngx_chat_overruns_total => '0x55 1x30' },
                           { ngx_chat_overruns_total => '1x90' } ],

    ChatWorkerStalls => [
        { 'ngx_chat_worker_stall_recent_max_seconds{pid="7"}' => '0.3x90' },
        { 'ngx_chat_worker_stall_recent_max_seconds{pid="7"}' => '0.2x90' },
        { pid => 7 } ],

    ChatWorkerLate => [
        { 'ngx_chat_worker_wakeup_delay_recent_max_seconds{pid="7"}'
          => '0.6x90' },
        { 'ngx_chat_worker_wakeup_delay_recent_max_seconds{pid="7"}'
          => '0.4x90' },
        { pid => 7 } ],

    ChatAnswersEarly => [ { ngx_chat_answers_early_total => '0+2x90' },
                          { ngx_chat_answers_early_total => '0+0.9x90' } ],

    ChatUnavailable => [
        { ngx_chat_unavailable_answers_total => '0+2x90' },
        { ngx_chat_unavailable_answers_total => '0+0.9x90' } ],

    ChatStoreFails => [
        { failed('error') => '0x57 1x30', failed('busy') => '1x90' },
        { failed('error') => '1x90' }, { reason => 'error' } ],

    ChatStoreLocked => [
        { failed('busy') => '0x57 1x30', failed('error') => '1x90' },
        { failed('busy') => '1x90' }, { reason => 'busy' } ],

    ChatCommitsSlow => [ { commits(0.5) }, { commits(0.25) } ],

    ChatStoreQueue => [
        { 'ngx_chat_worker_store_queue_messages{pid="7"}' => '5000x90' },
        { 'ngx_chat_worker_store_queue_messages{pid="7"}' => '4000x90' },
        { pid => 7 } ],

    ChatHistoryQueue => [ { ngx_chat_store_queue_reads => '300x90' },
                          { ngx_chat_store_queue_reads => '250x90' } ],

    ChatPagesHeld => [
        { ngx_chat_store_page_bytes => '140000000x90',
          ngx_chat_workers => '2x90' },
        { ngx_chat_store_page_bytes => '140000000x90',
          ngx_chat_workers => '3x90' } ],

    ChatWalLarge => [
        { ngx_chat_database_wal_size_bytes => '300000000x90' },
        { ngx_chat_database_wal_size_bytes => '200000000x90' } ],

    ChatZoneFull => [
        { 'ngx_chat_app_zone_refused_total{app="1"}' => '0x57 1x30',
          'ngx_chat_app_zone_refused_total{app="2"}' => '1x90' },
        { 'ngx_chat_app_zone_refused_total{app="1"}' => '1x90' },
        { app => 1 } ],

    ChatZoneNearlyFull => [ { part('arena', 86, 14), part('ring', 1, 99) },
                            { part('arena', 84, 16), part('ring', 99, 1) },
                            { part => 'arena' } ],

    ChatKeysForgotten => [ { ngx_chat_keys_forgotten_total => '0x55 1x30' },
                           { ngx_chat_keys_forgotten_total => '1x90' } ],

    ChatSessionsEvicted => [
        { ngx_chat_sessions_evicted_total => '0x55 1x30' },
        { ngx_chat_sessions_evicted_total => '1x90' } ],

    ChatSlowClients => [
        { closed('slow') => '0+2x90', ngx_chat_connections => '1000x90' },
        { closed('slow') => '0+2x90', closed('shutdown') => '0+100x90',
          ngx_chat_connections => '3000x90' },
        { reason => 'slow' } ],

    ChatSilentClients => [
        { closed('silent') => '0+10x90', ngx_chat_connections => '1000x90' },
        { closed('silent') => '0+10x90', closed('shutdown') => '0+100x90',
          ngx_chat_connections => '3000x90' },
        { reason => 'silent' } ],

    ChatOverCapacity => [
        { refused(4004) => '0x55 1x30', refused(4100) => '0x90' },
        { refused(4004) => '1x90', refused(4009) => '0+100x90' },
        { code => 4004 } ],

    ChatUnknownKey => [
        { refused(4001) => '0+3x90' },
        { refused(4001) => '0+1x90', refused(4009) => '0+9x90' },
        { code => 4001 } ],

    ChatOriginsRefused => [ { ngx_chat_origins_refused_total => '0+3x90' },
                            { ngx_chat_origins_refused_total => '0+1x90' } ],

    ChatSignaturesRefused => [
        { 'ngx_chat_subscriptions_refused_total{reason="signature"}'
          => '0+3x90' },
        { 'ngx_chat_subscriptions_refused_total{reason="name"}' => '0+3x90' },
        { reason => 'signature' } ],

    ChatNotRecovered => [
        { result('gone') => '0+1x90', result('too_much') => '0+1x90',
          result('ring') => '0+6x90', result('new') => '0+99x90' },
        { result('gone') => '0+1x90', result('too_much') => '0+1x90',
          result('ring') => '0+10x90', result('new') => '0x90' } ],

    ChatTokensShared => [ { ngx_chat_tokens_shared_total => '0+0.2x90' },
                          { ngx_chat_tokens_shared_total => '0+0.05x90' } ],

    ChatNodeOut => [ { ngx_chat_cluster_joined => '0x90' },
                     { ngx_chat_cluster_joined => '1x90' } ],

    ChatLogLost => [ { ngx_chat_cluster_log_lost_total => '0x55 1x30' },
                     { ngx_chat_cluster_log_lost_total => '1x90' } ],

    ChatLogTooShort => [
        { ngx_chat_cluster_log_trimmed_total => '0x55 1x30' },
        { ngx_chat_cluster_log_trimmed_total => '1x90' } ],

    ChatNodeBehind => [
        { ngx_chat_cluster_behind_events => '1100x90' },
        { ngx_chat_cluster_behind_events => '1100x57 0x30' } ],

    ChatInvalidCommands => [
        { ngx_chat_commands_invalid_total => '0+12x90' },
        { ngx_chat_commands_invalid_total => '0+8x90' } ],
);


# Series of a server, in promtool's words.

sub series {
    my ($instance, $values) = @_;

    my $labels = "job=\"chat\",instance=\"$instance\"";
    my @list;

    for my $name (sort keys %$values) {
        my $full = $name =~ /\{/ ? $name =~ s/\{/{$labels,/r
                                 : "$name\{$labels}";

        push @list, { series => $full, values => $values->{$name} };
    }

    return @list;
}


sub test_of {
    my ($rule) = @_;

    my $name = $rule->{alert};
    my ($bad, $good, $labels, $at) = @{ $cases{$name} };

    return {
        interval => '1m',
        input_series => [ series('bad', $bad), series('good', $good),
                          $name eq 'ChatDown' ? () : series('good',
                                                     { up => '1x90' }) ],
        alert_rule_test => [ map { {
            alertname => $_->{alert}, eval_time => $at // '60m',
            exp_alerts => $_->{alert} ne $name ? [] : [ { exp_labels => {
                job => 'chat', instance => 'bad',
                severity => $rule->{labels}{severity},
                map { $_ => "$labels->{$_}" } keys %{ $labels // {} } } } ],
        } } @rules ],
    };
}


# Without annotations, which promtool would want repeated word by word.

sub run_tests {
    my ($name, @tests) = @_;

    my @bare = map { my %rule = %$_; delete $rule{annotations}; \%rule }
               @rules;

    spew("$dir/rules.json", $json->encode(
        { groups => [ { name => 'all', rules => \@bare } ] }));
    spew("$dir/$name.json", $json->encode(
        { rule_files => [ 'rules.json' ], evaluation_interval => '1m',
          tests => \@tests }));

    return promtool('test', 'rules', "$dir/$name.json");
}


subtest 'each alert' => sub {
    is(join(' ', sort keys %cases), join(' ', sort map { $_->{alert} } @rules),
       'has a case');

    for my $rule (@rules) {
        my ($code, $said) = run_tests($rule->{alert}, test_of($rule));

        is($code, 0, "$rule->{alert} fires, and no other") or diag($said);
    }

    my %never = %{ test_of($rules[0]) };

    $_->{exp_alerts} = [] for @{ $never{alert_rule_test} };
    isnt((run_tests('never', \%never))[0], 0, 'an alert more is a failure');
};


# A server that is idle, and one that nobody asks any more.

subtest 'quiet' => sub {
    my @idle;

    for my $name (sort keys %$samples) {
        for my $labels (@{ $samples->{$name} }) {
            my $list = join ',', 'job="chat"', 'instance="idle"',
                       map { "$_=\"$labels->{$_}\"" } sort keys %$labels;

            # all is zero, but that it is in its cluster
            my $n = $name eq 'ngx_chat_cluster_joined' ? 1 : 0;

            push @idle, { series => "$name\{$list}", values => "${n}x90" };
        }
    }

    my @none = map { { alertname => $_->{alert}, eval_time => '60m',
                       exp_alerts => [] } } @rules;
    my @absent = map { my %one = %$_; \%one } @none;

    $_->{exp_alerts} = [ { exp_labels => { job => 'chat',
                                           severity => 'critical' } } ]
        for grep { $_->{alertname} eq 'ChatDown' } @absent;

    my ($code, $said) = run_tests('quiet',
        { interval => '1m', alert_rule_test => \@none,
          input_series => [ @idle, series('idle', { up => '1x90' }) ] },
        { interval => '1m', alert_rule_test => \@absent,
          input_series => [ { series => 'other', values => '0x90' } ] });

    is($code, 0, 'nothing fires, but for a job that is not there')
        or diag($said);
};


# ---- the dashboard

my @panels = grep { $_->{type} ne 'row' } @{ $board->{panels} };
my @targets = map { my $panel = $_;
                    map { [ $panel->{title}, $_ ] } @{ $panel->{targets} } }
              @panels;


# A query with Grafana's variables as Grafana would put them in.

sub filled {
    my ($expr) = @_;

    my %value = (job => 'chat', instance => 'a.example:80|b.example:80',
                 __rate_interval => '1m');

    $expr =~ s/\$(\w+)/$value{$1} \/\/ "\$$1"/ge;

    return $expr;
}


subtest 'queries of the dashboard' => sub {
    for (@targets) {
        my ($title, $target) = @$_;
        my $expr = filled($target->{expr});

        unlike($expr, qr/\$/, "$title: variables are known");
        is(join(' ', unknown($expr)), '', "$title asks for what there is");

        my $all = () = $expr =~ /\bngx_chat_\w+/g;
        my $of = () = $expr =~ /\bngx_chat_\w+\{job="chat",instance=~"a/g;

        is($of, $all, "$title asks the chosen servers");

        # the labels of a legend are those that the query leaves
        my ($by) = $expr =~ /^sum by \((.*?)\)/;
        my @legend = $target->{legendFormat} =~ /\{\{(\w+)\}\}/g;

        is(join(' ', grep { my $label = $_;
                            defined $by && !grep { $_ eq $label }
                                           split(/, /, $by) } @legend),
           '', "$title: its legend");
    }

    my @all = ((map { $_->[1]{expr} } @targets),
               map { $_->{target} ? $_->{target}{expr} : () }
               @{ $board->{annotations}{list} });

    # one of a group may not be that of another
    my $n = 0;
    spew("$dir/board.json", $json->encode({ groups => [ {
        name => 'board', rules => [ map { { record => 'x:' . $n++,
                                            expr => filled($_) } } @all ] } ]
    }));

    my ($code, $said) = promtool('check', 'rules', "$dir/board.json");

    is($code, 0, 'promtool can read them') or diag($said);

    spew("$dir/board.json", $json->encode({ groups => [ { name => 'board',
        rules => [ { record => 'x', expr => 'rate(x)' } ] } ] }));
    isnt((promtool('check', 'rules', "$dir/board.json"))[0], 0,
         'and could not any');
};


subtest 'the dashboard' => sub {
    my ($source) = grep { $_->{type} eq 'datasource' }
                   @{ $board->{templating}{list} };

    is($source->{query}, 'prometheus', 'its source is a variable');

    my $uid = "\${$source->{name}}";
    my @queries = grep { $_->{type} eq 'query' }
                  @{ $board->{templating}{list} };

    is(join(' ', map { $_->{name} } @queries), 'job instance', 'and these');
    is(join(' ', map { unknown(/\(([^,]*),/) } map { $_->{definition} }
                 @queries), '', 'which ask for what there is');

    is_deeply($_->{datasource}, { type => 'prometheus', uid => $uid },
              'source of ' . ($_->{title} // $_->{name} // $_->{expr}))
        for @panels, @queries, map { $_->[1] } @targets;

    my (%id, %title);

    for my $panel (@{ $board->{panels} }) {
        ok(!$id{ $panel->{id} }++, "id of $panel->{title}");
    }

    for my $panel (@panels) {
        my $title = $panel->{title};

        ok(!$title{$title}++, "$title comes once");
        like($panel->{description}, qr/^[A-Z].*\.\z/, "$title is explained");
        ok($panel->{fieldConfig}{defaults}{unit}
           || $panel->{options}{yAxis}{unit}, "$title has a unit");
        is(join(' ', map { $_->{refId} } @{ $panel->{targets} }),
           join(' ', map { chr(ord('A') + $_) } 0 .. $#{ $panel->{targets} }),
           "$title: its queries have names");
    }
};


# 24 columns: each line of panels begins where the last one ends, and is full.

subtest 'its layout' => sub {
    my ($x, $y, $height) = (0, 0, 0);

    for my $panel (@{ $board->{panels} }) {
        my $at = $panel->{gridPos};

        ($x, $y) = (0, $y + $height) if $x == 24;
        $height = $at->{h} if $x == 0;

        is("$at->{x} $at->{y} $at->{h}", "$x $y $height",
           "$panel->{title} follows");

        $x += $at->{w};
        cmp_ok($x, '<=', 24, "$panel->{title} fits");

        is($at->{w}, 24, "$panel->{title} is a line of its own")
            if $panel->{type} eq 'row';
    }

    is($x, 24, 'the last line is full');
};


File::Path::remove_tree($dir) unless $ENV{CHAT_KEEP};

done_testing();
