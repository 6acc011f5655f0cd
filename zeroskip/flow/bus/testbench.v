// Testbench of CHIP: a memory behind its AXI port, and a master that runs inferences. It reads what
// "zeroskip system IMAGE --port DATA_BITS --input X.npy -o DIR" wrote, named by +image=DIR; compares
// each output, byte by byte, and the cycles of each inference with the models'; and prints PASS or
// FAIL. Any simulator of Verilog-2005 runs it.

module CHIP_tb;
    // Room for larger networks: 16 MB as it stands.
    parameter MEMORY_BEATS = (1 << 24) / (DATA_BITS / 8);
    parameter VECTOR_BEATS = 1 << 16;

    localparam CONTROL = CONTROL_ADDRESS, GIE = GIE_ADDRESS, IER = IER_ADDRESS, ISR = ISR_ADDRESS;
    localparam LIST = LIST_ADDRESS, LIST_BYTES = LIST_BYTES_ADDRESS;
    localparam WINDOW = WINDOW_ADDRESS, WINDOW_BYTES = WINDOW_BYTES_ADDRESS;
    localparam ERROR = ERROR_ADDRESS, CYCLES = CYCLES_ADDRESS, ARRAY = ARRAY_ADDRESS;

    reg aclk = 0, aresetn = 0;
    wire interrupt;
    reg [31:0] now = 0;
    integer failures = 0;

    always #5 aclk = ~aclk;
    always @(posedge aclk) now <= now + 1;

    // What the run consists of.
    reg [63:0] run [0:14];
    wire [31:0] array_number = run[0][31:0], latency = run[14][31:0];
    wire [31:0] list_at = run[6][31:0], list_bytes = run[7][31:0];
    wire [31:0] input_at = run[8][31:0], input_beats = run[9][31:0];
    wire [31:0] output_at = run[10][31:0], output_beats = run[11][31:0];
    wire [31:0] inferences = run[12][31:0];
    wire [31:0] base = run[1][31:0];

    // The memory: beats of which the lowest byte has the lowest address. Vectors are, for each
    // inference, a beat with its cycles, its input, and the output that is expected.
    reg [DATA_BITS-1:0] memory [0:MEMORY_BEATS-1];
    reg [DATA_BITS-1:0] vectors [0:VECTOR_BEATS-1];

    // The chip.
    reg [REGISTER_BITS-1:0] awaddr, araddr;
    reg [31:0] wdata;
    reg awvalid = 0, wvalid = 0, arvalid = 0;
    wire awready, wready, bvalid, arready, rvalid;
    wire [31:0] rdata;
    wire m_arvalid, m_awvalid, m_wvalid, m_wlast, m_rready, m_bready;
    wire [ADDR_BITS-1:0] m_araddr, m_awaddr;
    wire [7:0] m_arlen, m_awlen;
    wire [DATA_BITS-1:0] m_wdata;
    wire [DATA_BITS/8-1:0] m_wstrb;
    wire m_arready, m_awready, m_wready;
    reg m_rvalid = 0, m_rlast, m_bvalid = 0;
    reg [DATA_BITS-1:0] m_rdata;
    reg [1:0] m_rresp, m_bresp;

    CHIP chip (
        .aclk(aclk),
        .aresetn(aresetn),
        .interrupt(interrupt),
        .s_axi_control_awaddr(awaddr),
        .s_axi_control_awprot(3'b0),
        .s_axi_control_awvalid(awvalid),
        .s_axi_control_awready(awready),
        .s_axi_control_wdata(wdata),
        .s_axi_control_wstrb(4'b1111),
        .s_axi_control_wvalid(wvalid),
        .s_axi_control_wready(wready),
        .s_axi_control_bresp(),
        .s_axi_control_bvalid(bvalid),
        .s_axi_control_bready(1'b1),
        .s_axi_control_araddr(araddr),
        .s_axi_control_arprot(3'b0),
        .s_axi_control_arvalid(arvalid),
        .s_axi_control_arready(arready),
        .s_axi_control_rdata(rdata),
        .s_axi_control_rresp(),
        .s_axi_control_rvalid(rvalid),
        .s_axi_control_rready(1'b1),
        .m_axi_gmem_awid(),
        .m_axi_gmem_awaddr(m_awaddr),
        .m_axi_gmem_awlen(m_awlen),
        .m_axi_gmem_awsize(),
        .m_axi_gmem_awburst(),
        .m_axi_gmem_awlock(),
        .m_axi_gmem_awcache(),
        .m_axi_gmem_awprot(),
        .m_axi_gmem_awqos(),
        .m_axi_gmem_awvalid(m_awvalid),
        .m_axi_gmem_awready(m_awready),
        .m_axi_gmem_wdata(m_wdata),
        .m_axi_gmem_wstrb(m_wstrb),
        .m_axi_gmem_wlast(m_wlast),
        .m_axi_gmem_wvalid(m_wvalid),
        .m_axi_gmem_wready(m_wready),
        .m_axi_gmem_bid(1'b0),
        .m_axi_gmem_bresp(m_bresp),
        .m_axi_gmem_bvalid(m_bvalid),
        .m_axi_gmem_bready(m_bready),
        .m_axi_gmem_arid(),
        .m_axi_gmem_araddr(m_araddr),
        .m_axi_gmem_arlen(m_arlen),
        .m_axi_gmem_arsize(),
        .m_axi_gmem_arburst(),
        .m_axi_gmem_arlock(),
        .m_axi_gmem_arcache(),
        .m_axi_gmem_arprot(),
        .m_axi_gmem_arqos(),
        .m_axi_gmem_arvalid(m_arvalid),
        .m_axi_gmem_arready(m_arready),
        .m_axi_gmem_rid(1'b0),
        .m_axi_gmem_rdata(m_rdata),
        .m_axi_gmem_rresp(m_rresp),
        .m_axi_gmem_rlast(m_rlast),
        .m_axi_gmem_rvalid(m_rvalid),
        .m_axi_gmem_rready(m_rready)
    );

    // Reads. Up to 16 bursts wait in line; the first beat comes "latency" cycles after its address
    // at the earliest, and then one a cycle.
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
    wire give = reads != 0 && now >= read_due[read_out[3:0]] && (!m_rvalid || m_rready);
    assign m_arready = reads != 16;

    always @(posedge aclk) begin
        if (m_arvalid && m_arready) begin
            read_at[read_in[3:0]] <= m_araddr;
            read_len[read_in[3:0]] <= m_arlen;
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
        if (give || m_rready) m_rvalid <= give;
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
    wire take = m_wvalid && m_wready;
    wire write_last = write_beat == write_len[write_out[3:0]];
    wire answers = write_out != answered && now >= answer_due[answered[3:0]]
        && (!m_bvalid || m_bready);
    integer k;
    assign m_awready = unanswered != 16;
    assign m_wready = write_in != write_out;

    always @(posedge aclk) begin
        if (m_awvalid && m_awready) begin
            write_at[write_in[3:0]] <= m_awaddr;
            write_len[write_in[3:0]] <= m_awlen;
            write_in <= write_in + 1;
        end
        if (take) begin
            for (k = 0; k < DATA_BITS / 8; k = k + 1)
                if (m_wstrb[k] && write_row < MEMORY_BEATS)
                    memory[write_row][8*k+:8] <= m_wdata[8*k+:8];
            write_beat <= write_last ? 0 : write_beat + 1;
            worst <= write_last ? 0 : write_resp;
            if (m_wlast != write_last) fail("WLAST at the wrong beat");
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
        if (answers || m_bready) m_bvalid <= answers;
        unanswered <= unanswered + {4'b0, m_awvalid && m_awready} - {4'b0, m_bvalid && m_bready};
    end

    // The master.
    task fail(input [8*64-1:0] why);
        begin
            failures = failures + 1;
            $display("cycle %0d: %0s", now, why);
        end
    endtask

    task finish;
        begin
            if (failures == 0) $display("PASS: %0d inferences", inferences);
            else $display("FAIL");
            $finish;
            @(posedge aclk);
        end
    endtask

    task write(input [31:0] register, input [31:0] value);
        begin
            awaddr <= register[REGISTER_BITS-1:0];
            wdata <= value;
            awvalid <= 1;
            wvalid <= 1;
            @(posedge aclk);
            while (!(awready && wready)) @(posedge aclk);
            awvalid <= 0;
            wvalid <= 0;
            while (!bvalid) @(posedge aclk);
        end
    endtask

    reg [31:0] value;
    task read(input [31:0] register);
        begin
            araddr <= register[REGISTER_BITS-1:0];
            arvalid <= 1;
            @(posedge aclk);
            while (!arready) @(posedge aclk);
            arvalid <= 0;
            while (!rvalid) @(posedge aclk);
            value = rdata;
        end
    endtask

    // Start a list, wait for the interrupt, and leave the list's cycles in "value".
    reg [31:0] limit;
    task start(input [31:0] address, input [31:0] bytes, input [31:0] most);
        begin
            write(LIST, address);
            write(LIST_BYTES, bytes);
            write(CONTROL, 1);
            limit = now + most;
            while (!interrupt && now < limit) @(posedge aclk);
            if (!interrupt) begin
                fail("no interrupt came");
                finish;
            end
            read(ISR);
            write(ISR, value);
            read(ERROR);
            if (value != 0) begin
                $display("register ERROR is %h", value);
                fail("the list was abandoned");
                finish;
            end
            read(CYCLES);
        end
    endtask

    reg [8*1024-1:0] image;
    reg [8*1100-1:0] path;
    integer file, row, n, differ;
    reg [31:0] place, cycles;

    task find(input [8*16-1:0] name);
        begin
            $sformat(path, "%0s/%0s", image, name);
            file = $fopen(path, "r");
            if (file == 0) begin
                $display("%0s is not there", path);
                fail("name by +image=DIR what zeroskip system --input -o wrote");
                finish;
            end
            $fclose(file);
        end
    endtask

    always begin
        if (!$value$plusargs("image=%s", image)) image = ".";
        find("run.hex");
        $readmemh(path, run);
        #1;
        if (run[2][31:0] / (DATA_BITS / 8) > MEMORY_BEATS
                || inferences * (1 + input_beats + output_beats) > VECTOR_BEATS) begin
            fail("larger MEMORY_BEATS or VECTOR_BEATS are needed");
            finish;
        end
        for (row = 0; row < run[2][31:0] / (DATA_BITS / 8); row = row + 1) memory[row] = 0;
        find("memory.hex");
        $readmemh(path, memory, 0, run[3][31:0] - 1);
        find("vectors.hex");
        $readmemh(path, vectors, 0, inferences * (1 + input_beats + output_beats) - 1);

        repeat (4) @(posedge aclk);
        aresetn <= 1;
        @(posedge aclk);
        read(ARRAY);
        if (value !== array_number) begin
            fail("the image is for another array, or another --port");
            finish;
        end
        write(WINDOW, base);
        write(WINDOW + 4, run[1][63:32]);
        write(WINDOW_BYTES, run[2][31:0]);
        write(WINDOW_BYTES + 4, run[2][63:32]);
        write(LIST + 4, 0);
        write(IER, 5);
        write(GIE, 1);
        start(run[4][31:0], run[5][31:0], 2 * run[13][31:0] + 100000);
        $display("setup: %0d cycles", value);

        place = 0;
        for (n = 0; n < inferences; n = n + 1) begin
            cycles = vectors[place][31:0];
            for (row = 0; row < input_beats; row = row + 1)
                memory[((input_at - base) >> BEAT_SHIFT) + row] = vectors[place + 1 + row];
            start(list_at, list_bytes, 2 * cycles + 100000);
            differ = 0;
            for (row = 0; row < output_beats; row = row + 1)
                if (memory[((output_at - base) >> BEAT_SHIFT) + row]
                        !== vectors[place + 1 + input_beats + row]) differ = differ + 1;
            $display("inference %0d: %0d cycles, the model's are %0d; %0d of %0d beats differ",
                n, value, cycles, differ, output_beats);
            if (value != cycles) fail("another number of cycles than the model's");
            if (differ != 0) fail("another output than golden's");
            place = place + 1 + input_beats + output_beats;
        end
        finish;
    end
endmodule
