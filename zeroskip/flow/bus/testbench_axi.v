    // AXI4-Lite, a master of the registers.
    reg [REGISTER_BITS-1:0] awaddr, araddr;
    reg [31:0] wdata;
    reg awvalid = 0, wvalid = 0, arvalid = 0;
    assign aclk = clk;
    assign aresetn = !reset;
    assign s_axi_control_awaddr = awaddr;
    assign s_axi_control_awprot = 0;
    assign s_axi_control_awvalid = awvalid;
    assign s_axi_control_wdata = wdata;
    assign s_axi_control_wstrb = 4'b1111;
    assign s_axi_control_wvalid = wvalid;
    assign s_axi_control_bready = 1;
    assign s_axi_control_araddr = araddr;
    assign s_axi_control_arprot = 0;
    assign s_axi_control_arvalid = arvalid;
    assign s_axi_control_rready = 1;

    task write(input [31:0] register, input [31:0] value);
        begin
            awaddr <= register[REGISTER_BITS-1:0];
            wdata <= value;
            awvalid <= 1;
            wvalid <= 1;
            @(posedge clk);
            while (!(s_axi_control_awready && s_axi_control_wready)) @(posedge clk);
            awvalid <= 0;
            wvalid <= 0;
            while (!s_axi_control_bvalid) @(posedge clk);
        end
    endtask

    reg [31:0] value;
    task read(input [31:0] register);
        begin
            araddr <= register[REGISTER_BITS-1:0];
            arvalid <= 1;
            @(posedge clk);
            while (!s_axi_control_arready) @(posedge clk);
            arvalid <= 0;
            while (!s_axi_control_rvalid) @(posedge clk);
            value = s_axi_control_rdata;
        end
    endtask

    // AXI4, the memory. Reads: up to 16 bursts wait in line; the first beat comes "latency" cycles
    // after its address at the earliest, and then one a cycle.
    reg m_rvalid = 0, m_rlast, m_bvalid = 0;
    reg [DATA_BITS-1:0] m_rdata;
    reg [1:0] m_rresp, m_bresp;
    assign m_axi_gmem_rid = 0;
    assign m_axi_gmem_rdata = m_rdata;
    assign m_axi_gmem_rresp = m_rresp;
    assign m_axi_gmem_rlast = m_rlast;
    assign m_axi_gmem_rvalid = m_rvalid;
    assign m_axi_gmem_bid = 0;
    assign m_axi_gmem_bresp = m_bresp;
    assign m_axi_gmem_bvalid = m_bvalid;
    reg [ADDR_BITS-1:0] read_at [0:15];
    reg [7:0] read_len [0:15];
    reg [31:0] read_due [0:15];
    reg [4:0] read_in = 0, read_out = 0;
    reg [7:0] read_beat = 0;
    wire [4:0] reads = read_in - read_out;
    wire [ADDR_BITS-1:0] read_row =
        ((read_at[read_out[3:0]] - base[ADDR_BITS-1:0]) >> BEAT_SHIFT)
        + {{(ADDR_BITS - 8) {1'b0}}, read_beat};
    wire read_last = read_beat == read_len[read_out[3:0]];
    wire give = reads != 0 && now >= read_due[read_out[3:0]] && (!m_rvalid || m_axi_gmem_rready);
    assign m_axi_gmem_arready = reads != 16;

    always @(posedge clk) begin
        if (m_axi_gmem_arvalid && m_axi_gmem_arready) begin
            read_at[read_in[3:0]] <= m_axi_gmem_araddr;
            read_len[read_in[3:0]] <= m_axi_gmem_arlen;
            read_due[read_in[3:0]] <= now + latency - 1;
            read_in <= read_in + 1;
        end
        if (give) begin
            m_rdata <= memory[read_row];
            m_rresp <= read_row < MEMORY_BEATS ? 2'd0 : 2'd3;
            m_rlast <= read_last;
            read_beat <= read_last ? 0 : read_beat + 1;
            if (read_last) read_out <= read_out + 1;
        end
        if (give || m_axi_gmem_rready) m_rvalid <= give;
    end

    // Writes. Up to 16 bursts are under way; an answer comes "latency" cycles after the last beat.
    reg [ADDR_BITS-1:0] write_at [0:15];
    reg [7:0] write_len [0:15];
    reg [31:0] answer_due [0:15];
    reg [1:0] answer [0:15];
    reg [4:0] write_in = 0, write_out = 0, answered = 0, unanswered = 0;
    reg [7:0] write_beat = 0;
    reg [1:0] worst = 0;
    wire [ADDR_BITS-1:0] write_row =
        ((write_at[write_out[3:0]] - base[ADDR_BITS-1:0]) >> BEAT_SHIFT)
        + {{(ADDR_BITS - 8) {1'b0}}, write_beat};
    wire [1:0] write_resp = write_row < MEMORY_BEATS ? worst : 2'd3;
    wire take = m_axi_gmem_wvalid && m_axi_gmem_wready;
    wire write_last = write_beat == write_len[write_out[3:0]];
    wire answers = write_out != answered && now >= answer_due[answered[3:0]]
        && (!m_bvalid || m_axi_gmem_bready);
    integer k;
    assign m_axi_gmem_awready = unanswered != 16;
    assign m_axi_gmem_wready = write_in != write_out;

    always @(posedge clk) begin
        if (m_axi_gmem_awvalid && m_axi_gmem_awready) begin
            write_at[write_in[3:0]] <= m_axi_gmem_awaddr;
            write_len[write_in[3:0]] <= m_axi_gmem_awlen;
            write_in <= write_in + 1;
        end
        if (take) begin
            for (k = 0; k < DATA_BITS / 8; k = k + 1)
                if (m_axi_gmem_wstrb[k] && write_row < MEMORY_BEATS)
                    memory[write_row][8*k+:8] <= m_axi_gmem_wdata[8*k+:8];
            write_beat <= write_last ? 0 : write_beat + 1;
            worst <= write_last ? 0 : write_resp;
            if (m_axi_gmem_wlast != write_last) fail("WLAST at the wrong beat");
            if (write_last) begin
                answer_due[write_out[3:0]] <= now + latency - 1;
                answer[write_out[3:0]] <= write_resp;
                write_out <= write_out + 1;
            end
        end
        if (answers) begin
            m_bresp <= answer[answered[3:0]];
            answered <= answered + 1;
        end
        if (answers || m_axi_gmem_bready) m_bvalid <= answers;
        unanswered <= unanswered + {4'b0, m_axi_gmem_awvalid && m_axi_gmem_awready} - {4'b0, m_bvalid && m_axi_gmem_bready};
    end
