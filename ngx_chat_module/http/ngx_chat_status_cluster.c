
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_status of a node of a cluster.  The names of nodes are JSON's only: as
 * labels they would pile up in Prometheus.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <http/ngx_chat_status_table.h>
#include <wire/ngx_chat_clock.h>


void
ngx_chat_status_cluster(ngx_chat_link_conf_t *link,
    ngx_chat_status_cluster_t *c)
{
    uint64_t             last, alive;
    ngx_uint_t           i;
    ngx_chat_link_sh_t  *sh;

    sh = link->sh;

    c->now = ngx_chat_clock_msec();
    c->node = link->name;
    c->term = ngx_chat_link_get(&sh->term);
    c->is_joined = (c->term != 0);
    c->is_isolated = ngx_chat_link_is_isolated(link);
    c->lost = ngx_chat_link_get(&sh->lost);
    c->trimmed = ngx_chat_link_get(&sh->trimmed);

    alive = ngx_chat_link_get(&sh->alive);
    c->away = (c->is_joined || alive == 0 || alive > c->now)
              ? 0 : c->now - alive;

    last = ngx_chat_link_get(&sh->last);
    c->applied = ngx_chat_link_get(&sh->applied);
    c->behind = (last > c->applied) ? last - c->applied : 0;

    c->nnodes = 0;

    for (i = 0; i < NGX_CHAT_LINK_NODES; i++) {

        if (ngx_chat_link_sh_get_node(sh, i, &c->nodes[c->nnodes]) == NGX_OK) {
            c->nnodes++;
        }
    }
}


void
ngx_chat_status_cluster_json(ngx_chat_json_write_t *w,
    ngx_chat_status_cluster_t *c)
{
    ngx_str_t              name;
    ngx_uint_t             i;
    ngx_chat_link_node_t  *node;

    ngx_chat_json_write_key(w, "cluster");
    ngx_chat_json_write_object(w);

    ngx_chat_json_write_key(w, "node");
    ngx_chat_json_write_string(w, &c->node);
    ngx_chat_json_write_key_uint(w, "joined", c->is_joined);
    ngx_chat_json_write_key_uint(w, "isolated", c->is_isolated);
    ngx_chat_json_write_key_uint(w, "away_milliseconds", c->away);
    ngx_chat_json_write_key_uint(w, "term", c->term);
    ngx_chat_json_write_key_uint(w, "applied", c->applied);
    ngx_chat_json_write_key_uint(w, "behind", c->behind);
    ngx_chat_json_write_key_uint(w, "log_lost", c->lost);
    ngx_chat_json_write_key_uint(w, "log_trimmed", c->trimmed);

    ngx_chat_json_write_key(w, "nodes");
    ngx_chat_json_write_array(w);

    for (i = 0; i < c->nnodes; i++) {
        node = &c->nodes[i];

        name.data = node->name;
        name.len = node->len;

        ngx_chat_json_write_object(w);
        ngx_chat_json_write_key(w, "node");
        ngx_chat_json_write_string(w, &name);
        ngx_chat_json_write_key_uint(w, "lease_milliseconds",
                                     (node->until > c->now)
                                     ? node->until - c->now : 0);
        ngx_chat_json_write_object_end(w);
    }

    ngx_chat_json_write_array_end(w);
    ngx_chat_json_write_object_end(w);
}


void
ngx_chat_status_cluster_prometheus(ngx_chat_metrics_t *m,
    ngx_chat_status_cluster_t *c)
{
    ngx_chat_status_metric(m, "ngx_chat_cluster_joined",
                           "1: this node is in its cluster; 0: it is not.",
                           c->is_joined);
    ngx_chat_status_metric(m, "ngx_chat_cluster_isolated",
                           "1: it is not for so long that its clients are "
                           "sent away.", c->is_isolated);

    ngx_chat_metrics_begin(m, "ngx_chat_cluster_away_seconds", "gauge",
                           "Time since it was in the cluster.");
    ngx_chat_metrics_sample_part(m, "", NULL, NULL, c->away,
                                 NGX_CHAT_METRICS_MSEC);

    ngx_chat_status_metric(m, "ngx_chat_cluster_nodes",
                           "Nodes of the cluster, as this one knows it.",
                           c->nnodes);
    ngx_chat_status_metric(m, "ngx_chat_cluster_term",
                           "The term of the log; 0: it is not in the cluster.",
                           c->term);

    ngx_chat_status_total(m, "ngx_chat_cluster_applied_total",
                          "Number of the log's last event that this node "
                          "has.", c->applied);

    ngx_chat_status_metric(m, "ngx_chat_cluster_behind_events",
                           "Events of the log that it did not have, when it "
                           "asked last.", c->behind);

    ngx_chat_status_total(m, "ngx_chat_cluster_log_lost_total",
                          "Times this node found that the log had lost "
                          "something.", c->lost);

    ngx_chat_status_total(m, "ngx_chat_cluster_log_trimmed_total",
                          "Times the log did not go back far enough for this "
                          "node.", c->trimmed);
}
